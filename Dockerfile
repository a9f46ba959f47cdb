# The command alone, from the base install, by a user of its own; models and photos are mounted, none is in the image:
#   docker build -t fakeface .
#   docker run --rm -v "$PWD/models:/models:ro" -v "$PWD:/photos:ro" fakeface predict --models /models photo.jpg
FROM python:3.11-slim
COPY requirements.lock pyproject.toml README.md LICENSE /src/
COPY fakeface /src/fakeface
RUN pip install --no-cache-dir --constraint /src/requirements.lock /src && rm -r /src \
    && useradd --uid 10001 --create-home fakeface
USER fakeface
WORKDIR /photos
ENTRYPOINT ["fakeface"]
CMD ["--help"]
