# The command line in a container:
#
#   docker build -t mmm-xgen .
#   docker run --rm -v "$PWD:/work" mmm-xgen generate demo --out out

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY mmm_xgen ./mmm_xgen
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
LABEL org.opencontainers.image.title="mmm-xgen" \
      org.opencontainers.image.description="Marketing-mix data with known truth" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir /wheels/*.whl \
    && rm -r /wheels \
    && useradd --create-home --uid 1000 xgen \
    && mkdir /work \
    && chown xgen:xgen /work
# Matplotlib draws into files, and keeps its cache where any user may write.
ENV MPLBACKEND=Agg \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1
USER xgen
WORKDIR /work
ENTRYPOINT ["mmm-xgen"]
CMD ["--help"]
