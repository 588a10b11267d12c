"""The money process."""

from __future__ import annotations

from serving.launch import read_process_config
from serving.serve import run_process, serve_app
from serving.wiring import build_money


def main() -> None:
    """Build the parts and serve."""
    config = read_process_config("money")
    serve_app(build_money(config), socket_path=config.socket_path)


if __name__ == "__main__":
    run_process("money", main)
