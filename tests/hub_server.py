"""A small Hub behind real HTTP: the requests of huggingface_hub for models, and of datasets for data, in memory."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


LARGE = (".safetensors", ".bin", ".pt", ".pth", ".zip")  # kept in large file storage, as by a new repository


@dataclass
class Repository:
    private: bool
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {}})
    commits: list[tuple[str, str, list[str]]] = field(default_factory=list)  # branch, message, paths

    def files(self, branch: str = "main") -> dict[str, bytes]:
        return self.branches[branch]

    @property
    def head(self) -> str:
        return hashlib.sha1(repr(self.commits).encode()).hexdigest()


class Hub(ThreadingHTTPServer):
    """
    Repositories of models, as users write to them and read from them, and of data sets, named `datasets/USER/NAME`, as
    users read from them.

    Args:
        tokens (`dict[str, str]`): Users by their tokens.
    """

    daemon_threads = True

    def __init__(self, tokens: dict[str, str]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.tokens = tokens
        self.repositories: dict[str, Repository] = {}
        self.large_files: dict[str, bytes] = {}
        self.uploads: list[str] = []  # of large files, whole or not
        self.failures: list[str] = []  # of the next uploads: "500", "closed" or "403"


@contextmanager
def running(tokens: dict[str, str]):
    """A Hub that answers at `hub.url`."""
    hub = Hub(tokens)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str | None = None):
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self):
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        try:
            method = "GET" if self.command == "HEAD" else self.command
            for (wanted, pattern), act in ROUTES.items():
                if wanted == method and (match := re.fullmatch(pattern, path)):
                    return act(self, **match.groupdict())
            raise Refusal(404, f"There is no {self.command} {path}.")
        except Refusal as refusal:
            self.read()  # else the next request would begin in this one's body
            headers = {"X-Error-Message": str(refusal)}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self.send(json.dumps({"error": str(refusal)}).encode(), refusal.status, headers)

    def log_message(self, *args) -> None:
        """Keeps quiet."""

    def read(self) -> bytes:
        length = int(self.headers.get("Content-Length") or 0)
        del self.headers["Content-Length"]  # it can be read once
        return self.rfile.read(length)

    def send(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value) -> None:
        self.send(json.dumps(value).encode(), headers={"Content-Type": "application/json"})

    def user(self) -> str:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.server.tokens:
            raise Refusal(401, "Invalid credentials in Authorization header" if token else "Please log in.")
        return self.server.tokens[token]

    def repository(self, name: str, writes: bool = False) -> Repository:
        found = self.server.repositories.get(name)
        owner = name.removeprefix("datasets/").split("/")[0]
        if found is None or (found.private and self.user() != owner):
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if writes and self.user() != owner:
            raise Refusal(403, f"You don't have the rights to write to {name}")
        return found

    def files(self, name: str, revision: str) -> dict[str, bytes]:
        repository = self.repository(name)
        branch = "main" if revision == repository.head else revision
        if branch not in repository.branches:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository.files(branch)

    # Who asks, and repositories.

    def whoami(self) -> None:
        self.send_json({"type": "user", "name": self.user(), "orgs": [], "auth": {"type": "access_token"}})

    def create(self) -> None:
        user, asked = self.user(), json.loads(self.read())
        owner = asked["organization"] or user
        if owner != user:
            raise Refusal(403, f'You don\'t have the rights to create a model under the namespace "{owner}"')
        name = f"{owner}/{asked['name']}"
        status = 409 if name in self.server.repositories else 200
        self.server.repositories.setdefault(name, Repository(asked.get("visibility") == "private"))
        self.send(json.dumps({"url": f"{self.server.url}/{name}", "name": name}).encode(), status)

    def info(self, name: str, revision: str = "main") -> None:
        files, repository = self.files(name, revision), self.repository(name)
        siblings = [{"rfilename": path} for path in files]
        self.send_json(
            {"id": name, "sha": repository.head, "private": repository.private, "tags": [], "siblings": siblings}
        )

    def create_branch(self, name: str, branch: str) -> None:
        repository = self.repository(name, writes=True)
        self.read()
        if branch in repository.branches:
            raise Refusal(409, "Reference already exists")
        repository.branches[branch] = dict(repository.files())
        self.send_json({})

    # Uploads.

    def validate(self) -> None:
        assert json.loads(self.read())["content"].startswith("---\n")
        self.send_json({"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        self.repository(name, writes=True)
        known, answers = self.files(name, revision), []
        for file in json.loads(self.read())["files"]:
            large = file["path"].endswith(LARGE)
            answers.append({"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False})
            if file["path"] in known:
                answers[-1]["oid"] = identifier(known[file["path"]], large)
        self.send_json({"files": answers})

    def large_batch(self, name: str) -> None:
        self.repository(name, writes=True)
        objects = []
        for file in json.loads(self.read())["objects"]:
            objects.append({"oid": file["oid"], "size": file["size"]})
            if file["oid"] not in self.server.large_files:
                upload = {"href": f"{self.server.url}/storage/{file['oid']}/{file['size']}"}
                objects[-1]["actions"] = {"upload": upload, "verify": {"href": f"{self.server.url}/verify"}}
        self.send_json({"transfer": "basic", "objects": objects})

    def store(self, oid: str, size: str) -> None:
        assert "Authorization" not in self.headers, "the storage is another company's"
        self.server.uploads.append(oid)
        failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "closed":
            self.rfile.read(int(size) // 2)
            self.close_connection = True
            self.connection.close()
            return
        content = self.read()
        if failure is not None:
            raise Refusal(int(failure), "The storage is out of order")
        if len(content) != int(size) or hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, "The content is not what was announced")
        self.server.large_files[oid] = content
        self.send(b"")

    def verify(self) -> None:
        self.user()
        asked = json.loads(self.read())
        if len(self.server.large_files.get(asked["oid"], b"")) != asked["size"]:
            raise Refusal(404, "There is no such object")
        self.send_json({})

    def commit(self, name: str, revision: str) -> None:
        repository, files = self.repository(name, writes=True), dict(self.files(name, revision))
        header, *operations = [json.loads(line) for line in self.read().splitlines()]
        for operation in operations:
            file = operation["value"]
            if operation["key"] == "file":
                files[file["path"]] = base64.b64decode(file["content"])
            elif operation["key"] == "lfsFile" and file["oid"] in self.server.large_files:
                files[file["path"]] = self.server.large_files[file["oid"]]
            else:
                raise Refusal(400, f"Cannot do {operation['key']} of {file['path']}")
        repository.branches[revision] = files
        paths = [operation["value"]["path"] for operation in operations]
        repository.commits.append((revision, header["value"]["summary"], paths))
        url = f"{self.server.url}/{name}/commit/{repository.head}"
        self.send_json({"commitUrl": url, "commitOid": repository.head})

    # Downloads.

    def tree(self, name: str, revision: str, folder: str | None = None) -> None:
        start, entries = "" if folder is None else f"{folder}/", {}
        for path, content in self.files(name, revision).items():
            if path.startswith(start):
                child, *deeper = path[len(start) :].split("/")
                entry = {"type": "file", "path": path, "size": len(content), "oid": identifier(content, False)}
                if deeper and "recursive=true" not in self.path.lower():
                    entry = {"type": "directory", "path": start + child, "oid": identifier(child.encode(), False)}
                entries[entry["path"]] = entry
        if folder is not None and not entries:
            raise Refusal(404, f"There is no folder {folder}", "EntryNotFound")
        self.send_json(list(entries.values()))

    def resolve(self, name: str, revision: str, path: str) -> None:
        files, repository = self.files(name, revision), self.repository(name)
        headers = {"X-Repo-Commit": repository.head}
        if path not in files:
            self.send(b"", 404, {**headers, "X-Error-Code": "EntryNotFound"})
            return
        self.send(files[path], headers={**headers, "ETag": f'"{identifier(files[path], path.endswith(LARGE))}"'})


def identifier(content: bytes, large: bool) -> str:
    """That of a large file is of its content, that of another one is git's."""
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
MODEL = rf"/api/models/{NAME}"
DATA = r"(?P<name>datasets/[\w.-]+/[\w.-]+)"
ROUTES: dict[tuple[str, str], Callable[..., None]] = {
    ("GET", "/api/whoami-v2"): Handler.whoami,
    ("POST", "/api/repos/create"): Handler.create,
    ("POST", "/api/validate-yaml"): Handler.validate,
    ("GET", MODEL): Handler.info,
    ("GET", rf"{MODEL}/revision/(?P<revision>.+)"): Handler.info,
    ("POST", rf"{MODEL}/branch/(?P<branch>.+)"): Handler.create_branch,
    ("POST", rf"{MODEL}/preupload/(?P<revision>.+)"): Handler.preupload,
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch"): Handler.large_batch,
    ("PUT", r"/storage/(?P<oid>\w+)/(?P<size>\d+)"): Handler.store,
    ("POST", "/verify"): Handler.verify,
    ("POST", rf"{MODEL}/commit/(?P<revision>.+)"): Handler.commit,
    ("GET", rf"{MODEL}/tree/(?P<revision>[^/]+)"): Handler.tree,
    ("GET", rf"/api/{DATA}"): Handler.info,
    ("GET", rf"/api/{DATA}/revision/(?P<revision>.+)"): Handler.info,
    ("GET", rf"/api/{DATA}/tree/(?P<revision>[^/]+)(/(?P<folder>.+))?"): Handler.tree,
    ("GET", rf"/{DATA}/resolve/(?P<revision>[^/]+)/(?P<path>.+)"): Handler.resolve,
    ("GET", rf"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)"): Handler.resolve,
}
