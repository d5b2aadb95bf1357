"""`python -m bench` says what will be measured; nothing is measured yet."""

PLANNED = (
    "GET and PUT of a large file, in MB/s, beside the storage alone",
    "PROPFIND of a folder with 20 000 entries: first byte, last byte, memory",
    "small requests a second, and the milliseconds a request costs",
    "shares received and tokens exchanged a second, signatures included",
)


def main() -> None:
    print("Nothing is measured yet. The benchmarks will measure:")
    for what in PLANNED:
        print(f"  - {what}")


if __name__ == "__main__":
    main()
