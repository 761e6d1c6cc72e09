import sys

if __name__ == "__main__":
    try:
        from experiments.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # also while it is imported
        sys.exit(130)
