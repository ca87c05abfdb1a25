"""``python -m vidsieve NAME ...`` is ``vidsieve NAME ...``."""

from tools.__main__ import main

if __name__ == "__main__":
    main()
