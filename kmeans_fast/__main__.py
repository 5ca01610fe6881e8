"""Let ``python -m kmeans_fast`` do what the command ``kmeans-fast`` does."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
