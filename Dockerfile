# U-Net for MindSpore in a container.
#   docker build -t unet .                                         for a CPU
#   docker build -t unet --build-arg FROM_IMAGE_NAME=IMAGE .       based on an image that has MindSpore for Ascend
ARG FROM_IMAGE_NAME=python:3.11-slim-bookworm

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
ARG MINDSPORE_VERSION=2.10.0
COPY requirements.txt requirements.lock /tmp/
# A MindSpore that the image has stays: it fits the image's driver libraries.
RUN python3 -m venv --system-site-packages /opt/venv \
    && { /opt/venv/bin/python -m pip show --quiet mindspore \
         || /opt/venv/bin/python -m pip install --no-cache-dir "mindspore==${MINDSPORE_VERSION}" \
                --constraint /tmp/requirements.lock; } \
    && /opt/venv/bin/python -m pip install --no-cache-dir --requirement /tmp/requirements.txt \
        --constraint /tmp/requirements.lock
COPY src /tmp/unet/src
WORKDIR /tmp/unet
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
COPY --chown=10001 . /home/unet/unet
ENV PATH=/opt/venv/bin:${PATH} \
    UNET_CPU_OPS=/opt/cpu_ops \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/unet/unet
CMD ["bash"]
