"""The edge process: TCP for browsers, a Unix socket for the CLI."""

from __future__ import annotations

from serving.launch import read_process_config
from serving.serve import run_process, serve_app
from serving.wiring import build_edge


def main() -> None:
    """Build the parts and serve."""
    config = read_process_config("edge")
    serve_app(build_edge(config), socket_path=config.socket_path, tcp=(config.host, config.port))


if __name__ == "__main__":
    run_process("edge", main)
