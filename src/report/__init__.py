"""Results for people to look at: log lines, tables, drawings, figures and the report page of a run."""
