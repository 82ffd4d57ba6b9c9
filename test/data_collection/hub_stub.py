"""The few answers of the Hugging Face Hub that pushing and pulling a dataset of small files needs, over real HTTP."""

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0" * 40


class Hub(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.commit = COMMIT
        self.refused = ""  # a file that cannot be had
        self.tags: list[str] = []
        self.created: dict = {}


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_) -> None:
        pass

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, content: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, content, status: int = 200, **headers: str) -> None:
        self._send(json.dumps(content).encode(), status, Content_Type="application/json", **headers)

    def do_POST(self) -> None:
        body, hub = self._body(), self.server
        if self.path == "/api/repos/create":
            hub.created = json.loads(body)
            self._json({"url": f"{hub.url}/datasets/{hub.created['organization']}/{hub.created['name']}"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._json({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                elif line["key"] == "deletedFile":
                    del hub.files[line["value"]["path"]]
            self._json({"success": True, "commitOid": COMMIT, "commitUrl": f"{hub.url}/datasets/a/b/commit/{COMMIT}"})
        elif "/tag/" in self.path:
            hub.tags.append(json.loads(body)["tag"])
            self._json({})
        elif self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        else:
            self._json({}, 404)

    def do_DELETE(self) -> None:
        tag = self.path.rsplit("/", 1)[-1]
        self._json({}, 200 if tag in self.server.tags else 404)
        self.server.tags = [name for name in self.server.tags if name != tag]

    def do_GET(self) -> None:
        hub = self.server
        found = re.search(rf"/datasets/[^/]+/[^/]+/resolve/{hub.commit}/(.*)", self.path)
        if found and found[1] != hub.refused:
            content = hub.files[found[1]]
            tag = hashlib.sha1(content).hexdigest()
            self._send(content, ETag=f'"{tag}"', X_Repo_Commit=hub.commit)
        elif re.search(r"/api/datasets/[^/]+/[^/]+/tree/", self.path):
            self._json([{"type": "file", "path": f, "size": len(c), "oid": "0" * 40} for f, c in hub.files.items()])
        elif re.search(r"/api/datasets/[^/]+/[^/]+(/revision/.*)?$", self.path):
            files = [{"rfilename": file} for file in hub.files]
            self._json({"id": "a/b", "sha": hub.commit, "siblings": files, "tags": [], "private": True, "downloads": 0})
        else:
            self._json({}, 404)

    do_HEAD = do_GET
