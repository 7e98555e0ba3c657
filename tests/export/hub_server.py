"""Stand-in for the Hugging Face hub on loopback: repositories in memory, as much of its interface as is used."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Repositories = dict[str, dict[str, bytes]]


class Handler(BaseHTTPRequestHandler):
    """Answers of the hub."""

    repositories: Repositories
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def answer(self, content: Any, status: int = 200, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != "Bearer hf_test":
            self.answer({"error": "Invalid username or password."}, 401)
        elif self.path == "/api/repos/create":
            content = json.loads(given)
            name = "/".join(filter(None, [content.get("organization"), content["name"]]))
            self.repositories.setdefault(name, {})
            self.answer({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        elif self.path.endswith("/preupload/main"):
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(given)["files"]
            ]
            self.answer({"files": files})
        elif found := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            for line in given.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.repositories[found[1]][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            address = f"http://{self.headers['Host']}/{found[1]}/commit/{COMMIT}"
            self.answer({"commitUrl": address, "commitOid": COMMIT, "success": True})
        else:
            self.answer({"ok": True})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/(.+?)/resolve/[^/]+/(.+)", path):
            content = self.repositories.get(found[1], {}).get(found[2])
            if content is None:
                return self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
            tag = hashlib.sha1(content).hexdigest()
            return self.answer(content, ETag=f'"{tag}"', X_Repo_Commit=COMMIT, Accept_Ranges="bytes")
        found = re.fullmatch(r"/api/models/(.+?)(/revision/[^/]+|/tree/[^/]+)?", path)
        if found is None or found[1] not in self.repositories:
            return self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        files = self.repositories[found[1]]
        if (found[2] or "").startswith("/tree"):
            return self.answer(
                [{"type": "file", "path": name, "size": len(body), "oid": COMMIT} for name, body in files.items()]
            )
        listed = [{"rfilename": name} for name in files]
        return self.answer(
            {"id": found[1], "modelId": found[1], "sha": COMMIT, "private": False, "tags": [], "siblings": listed}
        )

    do_HEAD = do_GET


@contextmanager
def serve_hub() -> Iterator[tuple[str, Repositories]]:
    """Serve an empty hub: its address, and its repositories as {name: {path: content}}."""
    repositories: Repositories = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (Handler,), {"repositories": repositories}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", repositories
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
