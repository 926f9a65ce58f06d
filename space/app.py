"""What a Hugging Face Space runs: the page, for visitors from everywhere."""

from hf_model.app.server import serve

if __name__ == "__main__":  # the processes that decode import this file too
    serve("0.0.0.0", 7860)
