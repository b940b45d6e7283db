"""A stand-in for the Hugging Face Hub: the requests that huggingface_hub makes to create a repository, to commit files
to it, and to download one. It runs in this process, on this machine."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0123456789" * 4


class HubServer:
    """The server. ``files`` are those of each repository, by name; ``private`` are the repositories that are."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: set[str] = set()
        self.downloads = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self.chunks()
                status, answer = hub.post(self.path, self.headers.get("Authorization"), body)
                self.reply(status, json.dumps(answer).encode())

            def do_HEAD(self) -> None:
                self.reply(*hub.file(self.path))

            def do_GET(self) -> None:
                hub.downloads += 1
                self.reply(*hub.file(self.path))

            def chunks(self) -> bytes:
                body = b""
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                return body

            def reply(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                if status == 200:
                    self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                    self.send_header("X-Repo-Commit", COMMIT)
                else:
                    self.send_header("X-Error-Code", {401: "", 404: "RepoNotFound"}[status])
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def post(self, path: str, authorization: str | None, body: bytes) -> tuple[int, Any]:
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if authorization != "Bearer hf_of_the_owner":
            return 401, {"error": "Invalid username or password."}
        if path == "/api/repos/create":
            asked = json.loads(body)
            repository = f"{asked.get('organization') or 'owner'}/{asked['name']}"
            self.files.setdefault(repository, {})
            if asked.get("private") or asked.get("visibility") == "private":
                self.private.add(repository)
            return 200, {"url": f"{self.address}/{repository}", "id": repository, "name": repository}
        kind, owner, name, action = path.removeprefix("/api/").split("/")[:4]
        assert kind == "models"
        if action == "preupload":
            files = json.loads(body)["files"]
            return 200, {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        assert action == "commit"
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.files[f"{owner}/{name}"][entry["value"]["path"]] = content
        return 200, {"commitUrl": f"{self.address}/{owner}/{name}/commit/{COMMIT}", "commitOid": COMMIT}

    def file(self, path: str) -> tuple[int, bytes]:
        parts = path.strip("/").split("/")
        if len(parts) != 5 or parts[2] != "resolve" or parts[3] not in ("main", "v1", COMMIT):
            return 404, b""
        content = self.files.get("/".join(parts[:2]), {}).get(parts[4])
        return (404, b"") if content is None else (200, content)
