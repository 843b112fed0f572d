# U-Net for MindSpore in a container.
#   docker build -t unet .                                         for a CPU
#   docker build -t unet --build-arg FROM_IMAGE_NAME=IMAGE .       based on an image that has MindSpore for Ascend
# By digest, so that it is always the same image. A newer one, with updates of Debian and Python:
#   docker buildx imagetools inspect python:3.11-slim-bookworm     prints its digest
ARG FROM_IMAGE_NAME=python:3.11-slim-bookworm@sha256:b18992999dbe963a45a8a4da40ac2b1975be1a776d939d098c647482bcad5cba

# ---- build stage: everything that needs a compiler or pip; the image takes two folders from it
FROM ${FROM_IMAGE_NAME} AS build
# Only in this stage; the image has a user of its own.
# hadolint ignore=DL3002
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A compiler for the CPU operators. Its version is that of the image, which the user chooses.
# hadolint ignore=DL3008
RUN if ! command -v g++ && command -v apt-get; then \
        apt-get update && apt-get install --no-install-recommends --yes g++ && rm -rf /var/lib/apt/lists/*; \
    fi
COPY requirements.lock mindspore.lock /tmp/
RUN python3 -c 'import sys; found = "%d.%d" % sys.version_info[:2]; sys.exit(found not in ("3.11", "3.12") and \
        f"error: python3 of this image is {found}, and requirements.lock is for 3.11 and 3.12; choose another image")'
# Only files with these hashes. A MindSpore that the image has stays, even an older one: it fits the image's driver
# libraries.
RUN python3 -m venv --system-site-packages /opt/venv \
    && pip="/opt/venv/bin/python -m pip" \
    && if $pip show --quiet mindspore; then \
        echo "keeping the MindSpore of the image: $($pip show mindspore | grep ^Version)"; \
    else \
        echo "python3 of the image has no MindSpore, so that of mindspore.lock is installed" \
        && $pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/mindspore.lock; \
    fi \
    && $pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/requirements.lock
COPY src /tmp/unet/src
WORKDIR /tmp/unet
RUN GLOG_v=3 /opt/venv/bin/python -c "import src.training.run, src.export.export" \
    || { echo "error: this project does not run with the MindSpore of the image (the reason is above); it is tested" \
              "with 2.7 to 2.10. Choose an image with one of these" >&2; exit 1; }
# Without compiled operators (another processor, another MindSpore) MindSpore's own kernels run, and the log says so.
RUN mkdir /opt/cpu_ops \
    && { GLOG_v=3 /opt/venv/bin/python -c "from src.cpu_ops.build import build_ahead; build_ahead('/opt/cpu_ops')" \
         || echo "continuing without compiled CPU operators"; }

# ---- the image
FROM ${FROM_IMAGE_NAME}
USER 0
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# MindSpore's libraries need GNU OpenMP, which the slim images lack.
# hadolint ignore=DL3008
RUN if command -v apt-get; then \
        apt-get update && apt-get install --no-install-recommends --yes libgomp1 && rm -rf /var/lib/apt/lists/*; \
    fi \
    && useradd --create-home --shell /bin/bash --uid 10001 unet
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/cpu_ops /opt/cpu_ops
# The code belongs to root: whoever runs it, or takes over a run, cannot change it.
COPY . /opt/unet
RUN chmod -R go-w /opt/unet
ENV PATH=/opt/venv/bin:${PATH} \
    UNET_CPU_OPS=/opt/cpu_ops \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/unet
CMD ["bash"]
