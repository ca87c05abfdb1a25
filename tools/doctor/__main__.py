"""Command: say what this machine can do, and how to fix what it cannot."""

from __future__ import annotations

from tools import cli


def _parser() -> cli.ArgumentParser:
    return cli.ArgumentParser(
        "tools.doctor",
        "Look at Python, packages, devices, codecs, weights, disk and limits. Codecs are tried by encoding\n"
        "and decoding a few pictures. What is wrong is followed by the command that fixes it. The exit code\n"
        "is 0 if the quickstart would run.",
        "python -m tools.doctor",
    )


def main(argv: list[str] | None = None) -> int:
    """Parse the command line, look, and print; the exit code."""
    _parser().parse_args(argv)

    from tools.doctor.codecs import codec_findings
    from tools.doctor.findings import problems_of, render
    from tools.doctor.machine import machine_findings
    from tools.doctor.packages import package_findings, weight_findings

    findings = [*machine_findings(), *codec_findings(), *package_findings(), *weight_findings()]
    print(render(findings))
    return 1 if problems_of(findings) else 0


if __name__ == "__main__":
    cli.run(main)
