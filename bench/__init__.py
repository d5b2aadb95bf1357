"""Benchmarks: what a unit of work costs the gateway, beside tuned nginx and HAProxy.

    python -m bench [names...] [--rounds N] [--quick]

What is compared is CPU for each unit of work, in the same run, in alternating rounds: on a shared
machine that is steadier than requests a second, and it is what an operator pays for.
"""
