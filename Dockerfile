# One recipe for every image.
#
#   docker build --build-arg SERVICE=billing-event --tag throughline/billing-event:0.1.0 .
#   docker build --target operations --tag throughline/operations:0.1.0 .
#
# Debian, because the document engine and the e-invoice rules come as glibc binaries.
ARG PYTHON=python:3.11-slim-bookworm

# Every pinned library, checked by its hash, and every package of this repository, as wheels.
FROM ${PYTHON} AS wheels
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY requirements-uv.txt requirements.txt ./
RUN pip install --quiet --require-hashes --requirement requirements-uv.txt \
    && pip download --quiet --require-hashes --no-deps --only-binary=:all: \
        --dest /wheels --requirement requirements.txt
COPY libs libs
COPY services services
RUN for member in libs/* services/*; do uv build --quiet --wheel --out-dir /wheels "$member" || exit 1; done

# The environment of one service: what it declares, taken from the wheels above and nowhere else.
# Bytecode is compiled here, because the running container writes nothing.
FROM wheels AS service-environment
ARG SERVICE
RUN test -n "${SERVICE}" \
    && uv venv --quiet /opt/throughline \
    && uv pip install --quiet --python /opt/throughline --offline --no-cache --no-index \
        --find-links /wheels --compile-bytecode "${SERVICE}"

# The operator's tools know every service, since they read what each declares of the broker.
FROM wheels AS operations-environment
RUN uv venv --quiet /opt/throughline \
    && uv pip install --quiet --python /opt/throughline --offline --no-cache --no-index \
        --find-links /wheels --compile-bytecode throughline-cli $(ls services)

# What all images are at run time: no compiler, no installer of ours, no root.
FROM ${PYTHON} AS runtime
ARG VERSION=0.1.0
LABEL org.opencontainers.image.vendor="Throughline" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/throughline/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRPC_VERBOSITY=ERROR
WORKDIR /tmp
USER 10001:10001

FROM runtime AS operations
LABEL org.opencontainers.image.title="throughline operations" \
    org.opencontainers.image.description="The throughline command, for jobs beside a deployment."
COPY --from=operations-environment /opt/throughline /opt/throughline
ENTRYPOINT ["throughline"]

FROM runtime AS service
ARG SERVICE
LABEL org.opencontainers.image.title="throughline ${SERVICE}" \
    org.opencontainers.image.description="The ${SERVICE} service of Throughline."
COPY --from=service-environment /opt/throughline /opt/throughline
ENV SERVICE=${SERVICE}
EXPOSE 8000 8080 50051
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/livez', timeout=4)"]
# A package is named as its service, with underscores. `exec` leaves Python to get the signals.
ENTRYPOINT ["/bin/sh", "-c", "exec python -m \"$(echo \"$SERVICE\" | tr - _)\" \"$@\"", "service"]
