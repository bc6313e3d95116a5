"""A small client of the Kubernetes API, by path, with the raw JSON of its answers."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

# Kubernetes objects as the API has them: their shape is the API's, not ours.
Manifest = Mapping[str, Any]
Object = dict[str, Any]

FIELD_MANAGER = "golive-tests"


class ApiError(Exception):
    """The API server refused: `status` is the HTTP status, the message its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Client:
    """One user's client, anonymous without a token. Raises ApiError for an answer that is not a success."""

    def __init__(self, server: str, ca: Path, token: str | None = None) -> None:
        # Proxies and credentials of the environment are for other servers than one on loopback.
        self._http = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            verify=ssl.create_default_context(cafile=str(ca)),
            timeout=httpx.Timeout(30.0, connect=5.0),
            trust_env=False,
        )

    def get(self, path: str, **parameters: str) -> Object:
        """The object or list at a path."""
        return _object(self._http.get(path, params=parameters))

    def text(self, path: str, **parameters: str) -> str:
        """The body at a path that is no JSON, such as a pod's log."""
        return _success(self._http.get(path, params=parameters)).text

    def post(self, path: str, body: Manifest) -> Object:
        """Create in a collection, or call a subresource such as an eviction."""
        return _object(self._http.post(path, json=body))

    def patch(self, path: str, body: Manifest) -> Object:
        """Merge into the object, or its subresource, at a path (a JSON merge patch, RFC 7396)."""
        return _object(self._http.patch(path, json=body, headers={"Content-Type": "application/merge-patch+json"}))

    def delete(self, path: str) -> Object:
        """Delete the object at a path, and in the background what it owns."""
        return _object(self._http.delete(path))

    def apply(self, manifest: Manifest) -> Object:
        """Create the object, or make it what the manifest says (server-side apply, which takes over others' fields)."""
        path = f"{self._collection(manifest)}/{manifest['metadata']['name']}"
        parameters = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return _object(
            self._http.patch(
                path, params=parameters, json=manifest, headers={"Content-Type": "application/apply-patch+yaml"}
            )
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _collection(self, manifest: Manifest) -> str:
        """The path of the objects of the manifest's kind, as the API's discovery has it."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        for resource in self.get(root)["resources"]:
            if resource["kind"] == kind and "/" not in resource["name"]:
                namespace = (
                    f"/namespaces/{manifest['metadata'].get('namespace', 'default')}" if resource["namespaced"] else ""
                )
                return f"{root}{namespace}/{resource['name']}"
        raise ApiError(404, f"{version} has no kind {kind}")


def _success(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise ApiError(response.status_code, _message(response))
    return response


def _object(response: httpx.Response) -> Object:
    body: Object = _success(response).json()
    return body


def _message(response: httpx.Response) -> str:
    """The message of the API's Status object, else the body as it is."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    return str(body["message"]) if isinstance(body, dict) and "message" in body else response.text
