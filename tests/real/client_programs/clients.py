"""One message by each of the named clients: python clients.py NAME... ; a JSON line each. Without names: all of them.

The API is at MISTRAL_BASE_URL, as in many a service. A streamed answer ends only for a client that says, while it still
streams, that it saw the beginning: GET /seen/NAME.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

BASE = os.environ.get("MISTRAL_BASE_URL", "https://api.mistral.invalid").rstrip("/")
URL = f"{BASE}/v1/chat/completions?first=1&second=%C3%BC"
CLIENTS: dict[str, Callable[[str], dict[str, Any]]] = {}
Result = dict[str, Any]


def client(name: str) -> Callable[[Callable[[str], Result]], Callable[[str], Result]]:
    def known(function: Callable[[str], Result]) -> Callable[[str], Result]:
        CLIENTS[name] = function
        return function

    return known


def headers(name: str) -> dict[str, str]:
    return {"authorization": "Bearer a-key", "content-type": "application/json", "x-mark": name}


def body(name: str, *, stream: bool = False) -> bytes:
    message = {"role": "user", "content": name}
    return json.dumps({"model": "mistral-small-2603", "messages": [message], "stream": stream}).encode()


def streamed(name: str, pieces: Iterable[bytes]) -> str:
    """Reads on only once the other side knows that the beginning is here."""
    text = b""
    for piece in pieces:
        if not text:
            seen(name)
        text += piece
    return text.decode()


def seen(name: str) -> None:
    import httpx

    httpx.get(f"{BASE}/seen/{name}")


def parts() -> tuple[str, int, bool, str]:
    split = urlsplit(URL)
    secure = split.scheme == "https"
    return split.hostname or "", split.port or (443 if secure else 80), secure, f"{split.path}?{split.query}"


@client("httpx")
def _httpx(name: str) -> Result:
    import httpx

    answer = httpx.post(URL, content=body(name), headers=headers(name))
    return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}


@client("httpx own transport")
def _httpx_transport(name: str) -> Result:
    import httpx

    class Own(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return super().handle_request(request)

    with httpx.Client(transport=Own(retries=1, http2=False)) as session:
        answer = session.post(URL, content=body(name), headers=headers(name))
    return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}


@client("httpx stream")
def _httpx_stream(name: str) -> Result:
    import httpx

    with httpx.stream("POST", URL, content=body(name, stream=True), headers=headers(name), timeout=20) as answer:
        return {"status": answer.status_code, "text": streamed(name, answer.iter_raw())}


@client("httpx async")
def _httpx_async(name: str) -> Result:
    import httpx

    async def ask() -> Result:
        async with httpx.AsyncClient() as session:
            answer = await session.post(URL, content=body(name), headers=headers(name))
        return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}

    return asyncio.run(ask())


@client("httpx async own transport")
def _httpx_async_transport(name: str) -> Result:
    import httpx

    class Own(httpx.AsyncBaseTransport):
        inner = httpx.AsyncHTTPTransport()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await self.inner.handle_async_request(request)

    async def ask() -> Result:
        async with httpx.AsyncClient(transport=Own()) as session:
            answer = await session.post(URL, content=body(name), headers=headers(name))
        return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}

    return asyncio.run(ask())


@client("httpx2")
def _httpx2(name: str) -> Result:
    import httpx2

    answer = httpx2.post(URL, content=body(name), headers=headers(name))
    return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}


@client("httpx2 stream")
def _httpx2_stream(name: str) -> Result:
    import httpx2

    with httpx2.stream("POST", URL, content=body(name, stream=True), headers=headers(name), timeout=20) as answer:
        return {"status": answer.status_code, "text": streamed(name, answer.iter_raw())}


@client("httpx2 async")
def _httpx2_async(name: str) -> Result:
    import httpx2

    async def ask() -> Result:
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport()) as session:
            answer = await session.post(URL, content=body(name), headers=headers(name))
        return {"status": answer.status_code, "text": answer.text, "url": str(answer.url)}

    return asyncio.run(ask())


@client("requests")
def _requests(name: str) -> Result:
    import requests

    answer = requests.post(URL, data=body(name), headers=headers(name), timeout=20)
    return {"status": answer.status_code, "text": answer.text, "url": answer.url}


@client("requests own adapter")
def _requests_adapter(name: str) -> Result:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=3, max_retries=0))
    answer = session.post(URL, data=body(name), headers=headers(name), timeout=20)
    return {"status": answer.status_code, "text": answer.text, "url": answer.url}


@client("requests stream")
def _requests_stream(name: str) -> Result:
    import requests

    content = body(name, stream=True)
    with requests.post(URL, data=content, headers=headers(name), timeout=20, stream=True) as answer:
        return {"status": answer.status_code, "text": streamed(name, answer.iter_content(None))}


@client("urllib3")
def _urllib3(name: str) -> Result:
    import urllib3

    answer = urllib3.request("POST", URL, body=body(name), headers=headers(name), retries=False, timeout=20)
    return {"status": answer.status, "text": answer.data.decode()}


@client("urllib3 own pool")
def _urllib3_pool(name: str) -> Result:
    import urllib3

    host, port, secure, path = parts()
    pool = (urllib3.HTTPSConnectionPool if secure else urllib3.HTTPConnectionPool)(host, port, timeout=20)
    answer = pool.request("POST", path, body=body(name), headers=headers(name), retries=False)
    return {"status": answer.status, "text": answer.data.decode()}


def _aiohttp(name: str, *, stream: bool = False, **options: Any) -> Result:
    import aiohttp
    import yarl

    async def ask() -> Result:
        connector = aiohttp.TCPConnector(limit=4, ttl_dns_cache=None)
        content = body(name, stream=stream)
        async with (
            aiohttp.ClientSession(connector=connector, **options) as session,
            session.post(yarl.URL(URL, encoded=True), data=content, headers=headers(name)) as answer,
        ):
            text = b""
            async for piece in answer.content.iter_any():
                if stream and not text:
                    async with session.get(f"{BASE}/seen/{name}"):
                        pass
                text += piece
            return {"status": answer.status, "text": text.decode(), "url": str(answer.url)}

    return asyncio.run(asyncio.wait_for(ask(), 20))


@client("aiohttp")
def _aiohttp_plain(name: str) -> Result:
    return _aiohttp(name)


@client("aiohttp stream")
def _aiohttp_stream(name: str) -> Result:
    return _aiohttp(name, stream=True)


@client("aiohttp trust_env")
def _aiohttp_trust_env(name: str) -> Result:
    return _aiohttp(name, trust_env=True)


@client("urllib.request")
def _urllib_request(name: str) -> Result:
    request = urllib.request.Request(URL, data=body(name), headers=headers(name))
    with urllib.request.urlopen(request, timeout=20) as answer:
        return {"status": answer.status, "text": answer.read().decode(), "url": answer.url}


@client("http.client")
def _http_client(name: str) -> Result:
    host, port, secure, path = parts()
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(host, port, timeout=20)
    connection.request("POST", path, body=body(name), headers=headers(name))
    answer = connection.getresponse()
    return {"status": answer.status, "text": answer.read().decode()}


@client("mistral")
def _mistral(name: str) -> Result:
    from mistralai.client import Mistral

    with Mistral(api_key="a-key", server_url=BASE) as sdk:
        answer = sdk.chat.complete(model="mistral-small-2603", messages=[{"role": "user", "content": name}])
    return {"status": 200, "text": answer.choices[0].message.content}


@client("mistral async")
def _mistral_async(name: str) -> Result:
    from mistralai.client import Mistral

    async def ask() -> Result:
        async with Mistral(api_key="a-key", server_url=BASE) as sdk:
            answer = await sdk.chat.complete_async(
                model="mistral-small-2603", messages=[{"role": "user", "content": name}]
            )
        return {"status": 200, "text": answer.choices[0].message.content}

    return asyncio.run(ask())


def main(names: list[str]) -> None:
    for name in names or list(CLIENTS):
        try:
            result = CLIENTS[name](name.replace(" ", "-"))
        except Exception as error:  # noqa: BLE001 - what came of it, whatever it is
            result = {"error": f"{type(error).__name__}: {error}"[:200]}
        sys.stdout.write(json.dumps({"client": name, **result}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
