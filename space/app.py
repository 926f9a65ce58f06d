"""Entry point of a Hugging Face Space: serve the page on all addresses."""

from hf_model.app.server import serve

if __name__ == "__main__":  # decoding processes import this file too
    serve("0.0.0.0", 7860)
