"""`motionsig page`: see it move, teach it and look back, in a browser.

With the service, motionsig.service: prints a link that lets one browser in, once. Without it: --sensor opens a sensor
in this process, and SOURCE looks back in a store; both until Ctrl-C. A further service, motionsig@NAME, has no page;
store:/var/lib/motionsig-NAME/signatures.db is what it stores.
"""

from __future__ import annotations

import argparse
from typing import Any

from motionsig.cli.option import option
from motionsig.errors import InputError


def add_to(commands: Any) -> None:
    from motionsig.cli.sensor_options import add_sensor_options  # `status` needs no more of this package than a module

    parser = commands.add_parser("page", help="see it move, teach it, look back: in a browser", description=__doc__)
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="store:PATH, or what else holds signatures")
    add_sensor_options(parser)
    option(parser, "--network", "also for other devices of the same network, encrypted; of the service from now on")
    option(parser, "--loopback", "of the service: from now on for this machine alone")
    option(parser, "--sessions", "of the service: list the browsers that are let in")
    option(parser, "--end ID", "of the service: let a browser in no longer; an id that --sessions lists, or all")
    parser.set_defaults(command=_page, sensor=None)


def _page(options: argparse.Namespace) -> int:
    asked = [name for name in ("network", "loopback", "sessions", "end") if getattr(options, name)]
    if len(asked) > 1:
        raise InputError(f"page: expected one of --network, --loopback, --sessions and --end, got {len(asked)}")
    if options.source is not None or options.sensor is not None:
        if options.source is not None and options.sensor is not None:
            raise InputError("page: expected --sensor or SOURCE, got both")
        if asked not in ([], ["network"]):
            raise InputError(f"--{asked[0]}: expected it for the service alone, got it with --sensor or SOURCE")
        from motionsig.cli.page.own import serve_sensor, serve_stored

        if options.sensor is not None:
            serve_sensor(options)
        else:
            serve_stored(options.source, network=options.network)
        return 0
    from motionsig.cli.page import service

    if options.sessions:
        service.print_sessions()
    elif options.end:
        service.end_sessions(options.end)
    else:
        service.show(network=options.network, loopback=options.loopback)
    return 0
