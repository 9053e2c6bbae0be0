#!/usr/bin/env python3
"""What a Python client of strata.registry.v1 sees and does.

usage: grpc_checks.py CHECK ARGUMENT…      (the functions of this file that are in CHECKS)

STRATA_GRPC names the server; STRATA_KEY (ID:SECRET) or STRATA_TOKEN says who asks. Exit code 0 when everything was as it should be.
"""
import json
import os
import sys
import threading
import time

import grpc

from grpc_client import Client, Layout, Refused, digest_of, expected
from strata.registry.v1 import admin_account_pb2 as a
from strata.registry.v1 import blobs_pb2 as b
from strata.registry.v1 import events_pb2 as e
from strata.registry.v1 import manifests_pb2 as m
from strata.registry.v1 import publish_pb2 as p
from strata.registry.v1 import tags_pb2 as t

OCI = "application/vnd.oci.image."
EMPTY = "application/vnd.oci.empty.v1+json"
# Longest wait for what is bound to happen, seconds.
WAIT_SECONDS = 30


def client():
    return Client(os.environ["STRATA_GRPC"], os.environ.get("STRATA_KEY"), os.environ.get("STRATA_TOKEN"))


def same(found, wanted):
    assert found == wanted, f"{found!r} instead of {wanted!r}"


def refused(code, reason, call, *arguments, **named):
    """The call is refused with just these codes; gives back the refusal."""
    try:
        answer = call(*arguments, **named)
        # Streams are refused when they are read.
        answer = list(answer) if hasattr(answer, "cancel") else answer
    except Refused as refusal:
        same((refusal.code, refusal.reason, refusal.domain), (code, reason, "strata"))
        print(f"refused as it should be: {refusal}")
        return refusal
    raise AssertionError(f"{code} {reason} was expected, and there was an answer: {answer!r}")


def manifest(strata, repository, text, **more):
    """Writes what a small image of its own needs; gives back its manifest, which is not put yet."""
    layer, config = text.encode(), b"{}"
    for content in (layer, config):
        strata.write(repository, content)
    image = {
        "schemaVersion": 2,
        "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": OCI + "layer.v1.tar", "digest": digest_of(layer), "size": len(layer)}],
        **more,
    }
    return json.dumps(image).encode()


def eventually(look):
    """What `look` gives as soon as that is something; a refusal is nothing."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            if found := look():
                return found
        except Refused as refusal:
            print(refusal)
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.05)


def push(layout, repository, *tags):
    strata, layout = client(), Layout(layout)
    manifests, blobs = layout.image()
    print(strata.push(layout, repository, *tags))
    same(strata.missing(repository, list(blobs)), [])


def missing(layout, repository):
    """Only what is missing is told, in the order of the question; so a push sends only that."""
    strata, layout = client(), Layout(layout)
    _, blobs = layout.image()
    asked = list(blobs)
    same(strata.missing(repository, asked), asked)
    strata.write(repository, layout.blob(asked[1]))
    same(strata.missing(repository, asked), asked[:1] + asked[2:])
    mount = b.BlobsMountRequest(repository=repository + "/mounted", digest=asked[1])
    setattr(mount, "from", repository)
    same(strata.blobs.Mount(mount).mounted, True)
    same(strata.missing(repository + "/mounted", asked), asked[:1] + asked[2:])


def pull(repository, reference, layout):
    print(client().pull(repository, reference, Layout(layout)))


def ranges(layout, repository):
    strata, layout = client(), Layout(layout)
    _, blobs = layout.image()
    digest = max(blobs, key=blobs.get)
    content = layout.blob(digest)
    found = strata.blobs.Stat(b.BlobsStatRequest(repository=repository, digest=digest))
    same((found.digest, found.size), (digest, len(content)))
    for offset, size in ((0, 1), (1, 300_000), (len(content) - 5, 0), (len(content) - 5, 100), (len(content), 0)):
        same(strata.read(repository, digest, offset, size) == content[offset:offset + size if size else None], True)
    behind = b.BlobsReadRequest(repository=repository, digest=digest, offset=len(content) + 1)
    refused("OUT_OF_RANGE", "RANGE_INVALID", strata.blobs.Read, behind)


def platforms(repository, reference):
    """Of an index one asks for what one can run."""
    strata = client()
    every = strata.resolve(repository, reference)
    same(sorted(child.architecture for child in every.children), ["amd64", "arm64"])
    one = strata.resolve(repository, reference, os="linux", architecture="arm64")
    same([child.architecture for child in one.children], ["arm64"])
    child = one.children[0]
    same(strata.get(repository, child.digest).content, child.content)
    config = next(content for content in child.contents if content.role == m.CONTENT_ROLE_CONFIG)
    same(child.config, strata.read(repository, config.descriptor.digest))


def cut(repository):
    """A call that is cut in the middle of a blob; what came is kept and gone on with."""
    strata, content = client(), os.urandom(9_000_000)
    session, go_on = strata.session(repository), threading.Event()

    def messages():
        yield b.BlobsWriteRequest(start=b.BlobsWriteStart(repository=repository, session=session))
        for at in range(0, 4_000_000, 250_000):
            yield b.BlobsWriteRequest(data=content[at:at + 250_000])
        go_on.wait()

    call = strata.blobs._stub.Write.future(messages(), metadata=strata.metadata)
    # One that writes holds its session, whoever else asks.
    def is_held():
        try:
            strata.write(repository, b"x", session=session, offset=1)
        except Refused as refusal:
            return refusal.code == "ABORTED" and refusal.details["RetryInfo"].retry_delay.seconds > 0
    eventually(is_held)
    call.cancel()
    go_on.set()

    def is_free():
        try:
            strata.write(repository, b"x", session=session, offset=8_999_999)
        except Refused as refusal:
            # The server may not have seen yet that the call was cancelled.
            if refusal.code == "ABORTED":
                return None
            same((refusal.code, refusal.reason, refusal.domain), ("OUT_OF_RANGE", "RANGE_INVALID", "strata"))
            return (int(refusal.metadata["offset"]),)
        raise AssertionError("a write beyond the end was taken")
    offset, = eventually(is_free)
    same(strata.offset(repository, session), offset)
    assert 0 <= offset <= 4_000_000, offset
    finish(repository, session, content)
    # Without a session nothing is kept of a call that ends early.
    def broken():
        yield b.BlobsWriteRequest(start=b.BlobsWriteStart(repository=repository, digest=digest_of(b"never")))
        raise RuntimeError("the client has an error of its own")
    try:
        strata.blobs.Write(broken())
        raise AssertionError("half a blob was taken")
    except Refused as refusal:
        print(refusal)
    stat = b.BlobsStatRequest(repository=repository, digest=digest_of(b"never"))
    refused("NOT_FOUND", "BLOB_UNKNOWN", strata.blobs.Stat, stat)


def finish(repository, session, content):
    """Sends the rest of a blob, from where the server says, and reads all of it."""
    strata = client()
    offset = strata.offset(repository, session)
    wrong = {"session": session, "offset": offset + 1}
    refusal = refused("OUT_OF_RANGE", "RANGE_INVALID", strata.write, repository, content[offset + 1:], **wrong)
    same(refusal.metadata["offset"], str(offset))
    wrong = {"session": session, "offset": offset, "size": 5}
    refused("INVALID_ARGUMENT", "SIZE_INVALID", strata.write, repository, content[offset:offset + 3], **wrong)
    offset += 3
    done = strata.write(repository, content[offset:], session=session, offset=offset, digest=digest_of(content))
    same((done.digest, done.offset), (digest_of(content), len(content)))
    same(strata.read(repository, done.digest) == content, True)
    gone = b.BlobsWriteStatusRequest(repository=repository, session=session)
    refused("NOT_FOUND", "BLOB_UPLOAD_UNKNOWN", strata.blobs.WriteStatus, gone)


def begin(repository, file, note):
    """Sends the first half of a file, whole calls only; notes the session."""
    strata = client()
    with open(file, "rb") as opened:
        half = opened.read(os.path.getsize(file) // 2)
    session = strata.session(repository)
    same(strata.write(repository, half, session=session).offset, len(half))
    with open(note, "w", encoding="utf-8") as opened:
        opened.write(f"{session} {len(half)}")


def go_on(repository, file, note):
    """The other half, after the server was killed and started again: nothing is sent twice."""
    with open(note, encoding="utf-8") as opened:
        session, offset = opened.read().split()
    same(client().offset(repository, session), int(offset))
    with open(file, "rb") as opened:
        finish(repository, session, opened.read())


def swap(repository):
    """Tags that only change as one expects."""
    strata = client()
    first, second = (manifest(strata, repository, text) for text in ("one", "two"))
    one = strata.put(repository, first, ["v1", "v1.0"], [expected("latest")])
    same((one.digest, sorted(one.tags)), (digest_of(first), ["latest", "v1", "v1.0"]))
    for stale in (expected("latest"), expected("latest", digest_of(second))):
        refused("ABORTED", "REVISION_MISMATCH", strata.put, repository, second, ["v2"], [stale])
        refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, repository, "v2")
        refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, repository, digest_of(second))
    two = strata.put(repository, second, ["v2"], [expected("latest", one.digest)])
    same(strata.get(repository, "latest").content, second)
    back = t.TagsSetRequest(repository=repository, tag="latest", digest=one.digest, expected=t.TagExpectation(digest=one.digest))
    refused("ABORTED", "REVISION_MISMATCH", strata.tags.Set, back)
    back.expected.digest = two.digest
    strata.tags.Set(back)
    same(strata.tags.Get(t.TagsGetRequest(repository=repository, tag="latest")).digest, one.digest)
    # Twenty at once: one of them finds what it expects.
    won, lost = [], []

    def race(number):
        asked = t.TagsSetRequest(repository=repository, tag="race", digest=one.digest, expected=t.TagExpectation(absent=True))
        try:
            strata.tags.Set(asked)
            won.append(number)
        except Refused as refusal:
            same(refusal.code, "ABORTED")
            lost.append(number)
    racers = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    same((len(won), len(lost)), (1, 19))


def publish(here, there):
    """Images of two repositories become visible together, or none."""
    strata = client()
    images = {place: manifest(strata, place, place) for place in (here, there)}
    index = json.dumps({
        "schemaVersion": 2,
        "mediaType": OCI + "index.v1+json",
        "manifests": [{"mediaType": OCI + "manifest.v1+json", "digest": digest_of(images[here]), "size": len(images[here])}],
    }).encode()

    def manifests(tag):
        # An index before what it names: the order does not matter.
        return [
            p.PublishManifest(repository=here, content=index, tags=[expected(tag)]),
            p.PublishManifest(repository=here, content=images[here]),
            p.PublishManifest(repository=there, content=images[there], tags=[expected("v1"), t.ExpectedTag(tag="latest")]),
        ]

    lacking = p.PublishManifest(repository=there, content=manifest(strata, here, "only here"))
    refusal = refused("FAILED_PRECONDITION", "MANIFEST_BLOB_UNKNOWN", strata.publish, [*manifests("v1"), lacking])
    violation = refusal.details["PreconditionFailure"].violations[0]
    same((violation.type, violation.subject), ("MANIFEST_BLOB_UNKNOWN", digest_of(b"only here")))
    for place in (here, there):
        refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, place, "v1")
    done = strata.publish(manifests("v1"), [p.PublishTag(repository=there, tag=t.ExpectedTag(tag="more"), digest=digest_of(images[there]))])
    same(list(done.digests), [digest_of(content) for content in (index, images[here], images[there])])
    assert 0 < done.first_event < done.last_event
    for place, tag, content in ((here, "v1", index), (there, "v1", images[there]), (there, "more", images[there])):
        same(strata.get(place, tag).content, content)
    # Once more: one tag is not what is expected any longer, so the others do not change either.
    refused("ABORTED", "REVISION_MISMATCH", strata.publish, manifests("v2"))
    refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, here, "v2")


def lists(repository):
    strata = client()
    image = manifest(strata, repository, "listed")
    tags = [f"v{number}" for number in range(7)]
    digest = strata.put(repository, image, tags).digest
    found, token = [], ""
    while True:
        page = strata.tags.List(t.TagsListRequest(repository=repository, page_size=3, page_token=token))
        assert len(page.tags) <= 3
        found, token = found + list(page.tags), page.next_page_token
        if not token:
            break
    same(found, tags)
    strata.write(repository, b"{}")
    signatures = []
    for number in range(3):
        kind = f"application/vnd.demo.{'even' if number % 2 == 0 else 'odd'}"
        more = {"artifactType": kind, "annotations": {"n": str(number)}, "subject": {"mediaType": OCI + "manifest.v1+json", "digest": digest, "size": len(image)}}
        put = strata.put(repository, manifest(strata, repository, f"signature {number}", **more))
        same(put.subject, digest)
        signatures.append((put.digest, kind, str(number)))
    found, token = [], ""
    while True:
        page = strata.manifests.Referrers(m.ManifestsReferrersRequest(repository=repository, subject=digest, page_size=2, page_token=token))
        found += [(one.digest, one.artifact_type, one.annotations["n"]) for one in page.referrers]
        token = page.next_page_token
        if not token:
            break
    same(found, sorted(signatures))
    odd = strata.manifests.Referrers(m.ManifestsReferrersRequest(repository=repository, subject=digest, artifact_type="application/vnd.demo.odd"))
    same([one.digest for one in odd.referrers], [signatures[1][0]])


def delete(repository):
    strata = client()
    image = manifest(strata, repository, "deleted")
    digest, layer = strata.put(repository, image, ["a", "b"]).digest, digest_of(b"deleted")
    held = b.BlobsDeleteRequest(repository=repository, digest=layer)
    refused("FAILED_PRECONDITION", "UNSUPPORTED", strata.blobs.Delete, held)
    strata.tags.Delete(t.TagsDeleteRequest(repository=repository, tag="a"))
    refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, repository, "a")
    same(strata.get(repository, "b").digest, digest)
    gone = m.ManifestsDeleteRequest(repository=repository, digest=digest)
    strata.manifests.Delete(gone)
    refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.get, repository, "b")
    refused("NOT_FOUND", "MANIFEST_UNKNOWN", strata.manifests.Delete, gone)
    strata.blobs.Delete(held)
    refusal = refused("NOT_FOUND", "BLOB_UNKNOWN", strata.blobs.Stat, b.BlobsStatRequest(repository=repository, digest=layer))
    resource = refusal.details["ResourceInfo"]
    same((resource.resource_type, resource.resource_name, resource.owner), ("blob", layer, repository))


def watch(repository):
    """Everything once and in order: while it happens, and from a cursor later."""
    strata, told, begun = client(), [], threading.Event()
    other = repository + "/other"
    feed = strata.events.Watch(e.EventsWatchRequest(repositories=[repository]), timeout=None)
    pages = iter(feed)
    first = next(pages)
    same((len(first.events), first.is_end), (0, True))

    def follow():
        try:
            for page in pages:
                told.extend(page.events)
        except Refused as refusal:
            same(refusal.code, "CANCELLED")
    follower = threading.Thread(target=follow)
    follower.start()
    digest = strata.put(repository, manifest(strata, repository, "told"), ["v1"]).digest
    strata.put(other, manifest(strata, other, "not told"), ["v1"])
    strata.tags.Delete(t.TagsDeleteRequest(repository=repository, tag="v1"))
    eventually(lambda: told and told[-1].action == "tag.delete")
    feed.cancel()
    follower.join()
    same({event.repository for event in told}, {repository})
    same([event.action for event in told if event.tag], ["tag.set", "tag.delete"])
    same([event.digest for event in told if event.action == "manifest.push"], [digest])
    numbers = [event.number for event in told]
    same(numbers, sorted(set(numbers)))

    def from_cursor(cursor, **filters):
        asked = e.EventsWatchRequest(cursor=cursor, until_end=True, **filters)
        return [event for page in strata.events.Watch(asked) for event in page.events]
    again = from_cursor(first.cursor, repositories=[repository])
    same([event.number for event in again], numbers)
    same([event.number for event in from_cursor(numbers[1], repositories=[repository])], numbers[2:])
    same([event.tag for event in from_cursor(first.cursor, registries=[repository.split("/")[0]], actions=["tag.set"])
          if event.repository.startswith(repository)], ["v1", "v1"])
    ahead = e.EventsWatchRequest(cursor=numbers[-1] + 1_000_000)
    refused("INVALID_ARGUMENT", "REQUEST_INVALID", strata.events.Watch, ahead)


def wrong(repository):
    """What is wrong is told by exact codes, and where it helps by what of it."""
    strata, none = client(), digest_of(b"never was")
    image = manifest(strata, repository, "right")
    strata.put(repository, image, ["right"])
    stat = lambda place, digest: strata.blobs.Stat(b.BlobsStatRequest(repository=place, digest=digest))
    for place, digest, code, reason, field in (
        ("Upper/case", none, "INVALID_ARGUMENT", "NAME_INVALID", "repository"),
        ("a/../b", none, "INVALID_ARGUMENT", "NAME_INVALID", "repository"),
        ("", none, "INVALID_ARGUMENT", "NAME_INVALID", "repository"),
        (repository, "sha256:short", "INVALID_ARGUMENT", "DIGEST_INVALID", "digest"),
        (repository, "", "INVALID_ARGUMENT", "DIGEST_INVALID", "digest"),
        (repository, none, "NOT_FOUND", "BLOB_UNKNOWN", None),
    ):
        refusal = refused(code, reason, stat, place, digest)
        if field:
            same(refusal.details["BadRequest"].field_violations[0].field, field)
    refused("INVALID_ARGUMENT", "TAG_INVALID", strata.put, repository, image, ["not a tag"])
    refused("INVALID_ARGUMENT", "MANIFEST_INVALID", strata.put, repository, b"{", ["v1"])
    refused("INVALID_ARGUMENT", "TOO_LARGE", strata.put, repository, b" " * (5 << 20), ["v1"])
    refused("INVALID_ARGUMENT", "DIGEST_INVALID", strata.write, repository, b"content", digest=none)
    lacking = json.loads(image)
    lacking["layers"][0]["digest"] = none
    refusal = refused("FAILED_PRECONDITION", "MANIFEST_BLOB_UNKNOWN", strata.put, repository, json.dumps(lacking).encode())
    same(refusal.details["PreconditionFailure"].violations[0].subject, none)
    refused("NOT_FOUND", "BLOB_UPLOAD_UNKNOWN", strata.write, repository, b"x", session="no-such", offset=0)
    for call, asked in (
        (strata.manifests.Get, m.ManifestsGetRequest),
        (strata.manifests.Stat, m.ManifestsStatRequest),
        (strata.manifests.ResolveImage, m.ManifestsResolveImageRequest),
    ):
        refused("NOT_FOUND", "MANIFEST_UNKNOWN", call, asked(repository=repository, reference="wrong"))
        # What cannot be a tag is none.
        refused("NOT_FOUND", "MANIFEST_UNKNOWN", call, asked(repository=repository, reference="not a tag"))
        refused("INVALID_ARGUMENT", "DIGEST_INVALID", call, asked(repository=repository, reference="sha256:none"))
    refused("NOT_FOUND", "NAME_UNKNOWN", strata.tags.List, t.TagsListRequest(repository="nobody/made/this"))
    # And nothing of that has done harm.
    same(list(strata.tags.List(t.TagsListRequest(repository=repository)).tags), ["right"])
    same(strata.get(repository, "right").content, image)


def deadline(repository):
    """A call that has a time is over then, and holds nothing."""
    strata, go_on = client(), threading.Event()
    session = strata.session(repository)

    def messages():
        yield b.BlobsWriteRequest(start=b.BlobsWriteStart(repository=repository, session=session))
        yield b.BlobsWriteRequest(data=b"abc")
        go_on.wait()
    try:
        strata.blobs.Write(messages(), timeout=0.5)
        raise AssertionError("it has no end")
    except Refused as refusal:
        same(refusal.code, "DEADLINE_EXCEEDED")
    go_on.set()
    eventually(lambda: strata.write(repository, b"def", session=session, offset=strata.offset(repository, session)).offset in (3, 6))
    strata.blobs.CancelWrite(b.BlobsCancelWriteRequest(repository=repository, session=session))
    refused("NOT_FOUND", "BLOB_UPLOAD_UNKNOWN", strata.offset, repository, session)


def who(account):
    """The server takes one for this account."""
    same(client().admin.WhoAmI(a.AdminWhoAmIRequest()).account.name, account)


def is_refused(code, reason, name, *arguments):
    """Another check of this file, which has to end in this refusal."""
    refused(code, reason, CHECKS[name], *arguments)


def watch_ends(repository, go):
    """A feed ends as soon as its key is disabled; `go` is the file whose making says that one follows."""
    feed = client().events.Watch(e.EventsWatchRequest(repositories=[repository]), timeout=WAIT_SECONDS)
    pages = iter(feed)
    next(pages)
    with open(go, "w", encoding="utf-8"):
        pass
    refused("UNAUTHENTICATED", "UNAUTHORIZED", lambda: [page for page in pages])


CHECKS = {
    check.__name__.replace("_", "-"): check
    for check in (
        push, missing, pull, ranges, platforms, cut, begin, go_on, swap, publish, lists, delete, watch, wrong, deadline,
        who, is_refused, watch_ends,
    )
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    try:
        CHECKS[sys.argv[1]](*sys.argv[2:])
    except Refused as error:
        sys.exit(f"refused: {error}")
