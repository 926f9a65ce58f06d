# The web page in a container: only what `hummingface app` needs, no torch.
#     docker build -t hummingface .
#     docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 7860:7860 hummingface
# With a token for everyone beyond this machine: -e HUMMINGFACE_TOKEN=..., or --token auto after the name of the image.
FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY hf_model hf_model
# Removed: what installs packages; the drawing library of music21, which draws nothing here; its scores and scales, a sound
# font, and tests, which are never read.
RUN python -m venv /opt/hummingface \
    && /opt/hummingface/bin/pip install -c constraints.txt ".[app]" \
    && /opt/hummingface/bin/pip uninstall --yes matplotlib contourpy fonttools kiwisolver setuptools pip \
    && cd /opt/hummingface/lib/python3.11/site-packages \
    && rm -rf music21/corpus/*/ music21/scale/scala/scl/*.scl pretty_midi/*.sf2 \
    && find . -type d -name tests -prune -exec rm -rf {} +

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /tmp --shell /usr/sbin/nologin hummingface
COPY --from=build /opt/hummingface /opt/hummingface
# Nothing is written outside of /tmp, so that the rest can be read-only.
ENV PATH=/opt/hummingface/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 7860, timeout=4); c.request('GET', '/health'); c.getresponse()"]
ENTRYPOINT ["hummingface", "app", "--host", "0.0.0.0", "--port", "7860"]
