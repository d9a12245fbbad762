"""Fetch one source distribution as pip would find it, and run nothing of it: `python -m … NAME VERSION FOLDER`.

`pip download` of a source distribution runs its build script to learn its dependencies. This asks pip's own finder
and session instead, so that index, mirrors, find-links, proxy, certificates and login are those that pip is
configured with. They are pip's internals: hence a process of its own, and names that pip 22 to 26 have.
"""

import sys
from pathlib import Path


def main(package: str, version: str, folder: str) -> None:
    """Write the file into `folder` under its own name.

    Raises:
        SystemExit: there is none, in words.
    """
    from pip._internal.commands import create_command
    from pip._internal.network.utils import raise_for_status

    command = create_command("download")
    options, _ = command.parse_args(["--no-deps", "--no-binary=:all:", "--disable-pip-version-check", "--quiet"])
    with command.main_context():
        session = command._build_session(options)  # type: ignore[attr-defined]
        finder = command._build_package_finder(options, session)  # type: ignore[attr-defined]
        links = [
            candidate.link
            for candidate in finder.find_all_candidates(package)
            if str(candidate.version) == version and not candidate.link.is_wheel
        ]
        if not links:
            raise SystemExit(f"no source distribution of {package}=={version} where pip is configured to look")
        # identity: the server must not pack the file a second time, which would be undone on the way
        answer = session.get(links[0].url_without_fragment, headers={"Accept-Encoding": "identity"}, stream=True)
        raise_for_status(answer)
        with (Path(folder) / links[0].filename).open("wb") as sink:
            for chunk in answer.iter_content(1 << 20):
                sink.write(chunk)


if __name__ == "__main__":
    main(*sys.argv[1:])
