"""A client of strata.registry.v1 that knows OCI layouts, on top of what grpcio-tools makes of the protocol's files.

Without the folder of those in PYTHONPATH nothing of this can be imported: dev/clients/python makes it. Used by grpc_checks.py.
"""
import base64
import hashlib
import json
import os

import grpc
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status

from strata.registry.v1 import admin_pb2_grpc
from strata.registry.v1 import blobs_pb2 as b, blobs_pb2_grpc
from strata.registry.v1 import events_pb2_grpc
from strata.registry.v1 import manifests_pb2 as m, manifests_pb2_grpc
from strata.registry.v1 import publish_pb2 as p, publish_pb2_grpc
from strata.registry.v1 import tags_pb2 as t, tags_pb2_grpc

PIECE_BYTES = 256 * 1024
# No call of these takes longer; what waits for news says so itself.
CALL_SECONDS = 60
DETAILS = (
    details.ErrorInfo, details.BadRequest, details.PreconditionFailure, details.QuotaFailure, details.ResourceInfo,
    details.RetryInfo,
)


class Refused(Exception):
    """A call was refused: the code of gRPC, the OCI code, and the details by the names of their messages."""

    def __init__(self, error):
        self.code = error.code().name
        status = rpc_status.from_call(error)
        self.details = {}
        for packed in status.details if status else []:
            for kind in DETAILS:
                if packed.Is(kind.DESCRIPTOR):
                    found = kind()
                    packed.Unpack(found)
                    self.details[kind.__name__] = found
        info = self.details.get("ErrorInfo", details.ErrorInfo())
        self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
        super().__init__(f"{self.code} {self.reason}: {error.details()} {self.metadata}")


class Service:
    """The calls of a service, each with who asks, a deadline, and refusals as `Refused`."""

    def __init__(self, stub, metadata):
        self._stub, self._metadata = stub, metadata

    def __getattr__(self, name):
        call = getattr(self._stub, name)

        def asked(request, timeout=CALL_SECONDS):
            try:
                answer = call(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                raise Refused(error) from error
            return Answers(answer) if isinstance(answer, grpc.Call) else answer

        return asked


class Answers:
    """The answers of a call that has many."""

    def __init__(self, call):
        self.call = call

    def __iter__(self):
        try:
            yield from self.call
        except grpc.RpcError as error:
            raise Refused(error) from error

    def cancel(self):
        self.call.cancel()


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def expected(tag, digest=None):
    """A tag, and that it stands for this manifest before, or for none."""
    before = t.TagExpectation(digest=digest) if digest else t.TagExpectation(absent=True)
    return t.ExpectedTag(tag=tag, expected=before)


class Client:
    def __init__(self, target, key=None, token=None, certificate=None):
        """`target` is HOST:PORT or unix:PATH, `key` ID:SECRET, `certificate` what the server's has to be, as PEM."""
        if certificate is None:
            self.channel = grpc.insecure_channel(target)
        else:
            self.channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate))
        self.metadata = []
        if key:
            self.metadata.append(("authorization", "Basic " + base64.b64encode(key.encode()).decode()))
        if token:
            self.metadata.append(("authorization", "Bearer " + token))
        self.blobs = self._service(blobs_pb2_grpc.BlobsStub)
        self.manifests = self._service(manifests_pb2_grpc.ManifestsStub)
        self.tags = self._service(tags_pb2_grpc.TagsStub)
        self.publishing = self._service(publish_pb2_grpc.PublishStub)
        self.events = self._service(events_pb2_grpc.EventsStub)
        self.admin = self._service(admin_pb2_grpc.AdminStub)

    def _service(self, stub):
        return Service(stub(self.channel), self.metadata)

    def missing(self, repository, digests):
        return list(self.blobs.FindMissing(b.BlobsFindMissingRequest(repository=repository, digests=digests)).missing)

    def write(self, repository, content, **start):
        """Writes a blob, or with `session` the part of it that goes on at `offset`."""
        if not start:
            start = {"digest": digest_of(content)}

        def messages():
            yield b.BlobsWriteRequest(start=b.BlobsWriteStart(repository=repository, **start))
            for at in range(0, len(content), PIECE_BYTES):
                yield b.BlobsWriteRequest(data=content[at:at + PIECE_BYTES])

        return self.blobs.Write(messages())

    def session(self, repository):
        return self.blobs.StartWrite(b.BlobsStartWriteRequest(repository=repository)).session

    def offset(self, repository, session):
        return self.blobs.WriteStatus(b.BlobsWriteStatusRequest(repository=repository, session=session)).offset

    def read(self, repository, digest, offset=0, size=0):
        asked = b.BlobsReadRequest(repository=repository, digest=digest, offset=offset, size=size)
        return b"".join(piece.data for piece in self.blobs.Read(asked))

    def put(self, repository, content, tags=(), expected_tags=()):
        return self.manifests.Put(
            m.ManifestsPutRequest(repository=repository, content=content, tags=tags, expected_tags=expected_tags)
        )

    def get(self, repository, reference):
        return self.manifests.Get(m.ManifestsGetRequest(repository=repository, reference=reference))

    def publish(self, manifests, tags=()):
        return self.publishing.Publish(p.PublishRequest(manifests=manifests, tags=tags))

    def resolve(self, repository, reference, **platform):
        return self.manifests.ResolveImage(
            m.ManifestsResolveImageRequest(repository=repository, reference=reference, **platform)
        )

    def push(self, layout, repository, *tags):
        """Pushes what an OCI layout's index names: only those blobs that are missing; an index and its manifests at once."""
        manifests, blobs = layout.image()
        try:
            missing = self.missing(repository, list(blobs))
        except Refused as refusal:
            # What one may not see is not there; whether one may push is told by the first write.
            if refusal.reason != "NAME_UNKNOWN":
                raise
            missing = list(blobs)
        for digest in missing:
            self.write(repository, layout.blob(digest), digest=digest)
        if len(manifests) == 1:
            return self.put(repository, manifests[0], tags).digest
        top, *children = [p.PublishManifest(repository=repository, content=content) for content in manifests]
        top.tags.extend(t.ExpectedTag(tag=tag) for tag in tags)
        return self.publish([top, *children]).digests[0]

    def pull(self, repository, reference, layout):
        """Pulls an image with one call and one more for each blob; everything is compared with its digest."""
        image = self.resolve(repository, reference)
        assert not image.cut, "there was more than one answer tells"
        for manifest in [image.manifest, *image.children]:
            layout.keep(manifest.digest, manifest.content)
            for content in manifest.contents:
                assert content.present, f"{content.descriptor.digest} is missing"
                if content.role != m.CONTENT_ROLE_MANIFEST:
                    layout.keep(content.descriptor.digest, self.read(repository, content.descriptor.digest))
        return image.manifest.digest


class Layout:
    """An OCI image layout on disk, as far as this needs one."""

    def __init__(self, path):
        self.path = path

    def blob_path(self, digest):
        return os.path.join(self.path, "blobs", *digest.split(":"))

    def blob(self, digest):
        with open(self.blob_path(digest), "rb") as file:
            return file.read()

    def keep(self, digest, content):
        assert digest_of(content) == digest, f"the bytes of {digest} are {digest_of(content)}"
        os.makedirs(os.path.dirname(self.blob_path(digest)), exist_ok=True)
        with open(self.blob_path(digest), "wb") as file:
            file.write(content)

    def image(self):
        """The bytes of all manifests, the one that is meant first; and the digests of all blobs."""
        with open(os.path.join(self.path, "index.json"), "rb") as file:
            todo = [descriptor["digest"] for descriptor in json.load(file)["manifests"][:1]]
        manifests, blobs = [], {}
        while todo:
            manifests.append(self.blob(todo.pop(0)))
            manifest = json.loads(manifests[-1])
            todo += [child["digest"] for child in manifest.get("manifests", [])]
            parts = [manifest["config"], *manifest["layers"]] if "config" in manifest else []
            blobs.update((part["digest"], part["size"]) for part in parts)
        return manifests, blobs
