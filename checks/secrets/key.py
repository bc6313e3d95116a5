"""The provider's key: where it is kept, whether it is a real one, and whether the Mistral API accepts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.provider import KeyShape, ProviderKey, ProviderModels
    from fixtures.settings import Environment

LOCAL_SCHEMES = {"env": "a variable of the process that reads it", "dotenv": "a file on a disk"}
MANAGED = "a secret manager's reference (k8s://NAMESPACE/NAME#KEY)"
KEY_LENGTH = 32


@check(
    "SEC-001",
    severity="blocker",
    remedy="""\
Keep the key in a secret manager, and name it by reference in environments/NAME.toml:

    [provider]
    api_key = "k8s://vault/mistral#api-key"

Put the key there byte for byte, without showing it and without a line break:

    read -rs KEY && printf %s "$KEY" > key
    kubectl create secret generic mistral -n vault --from-file=api-key=key --dry-run=client -o yaml | kubectl apply -f -
    shred -u key; unset KEY""",
)
def test_the_key_comes_from_a_secret_manager(provider_key: ProviderKey, environment: Environment) -> None:
    """The key of this environment comes from a secret manager, which has it enabled and not empty."""
    assert list(badly_kept(provider_key, local=environment.tier == "development")) == []


def badly_kept(key: ProviderKey, *, local: bool) -> Iterator[Offender]:
    """What is wrong with where the key is kept. `local`: this machine's own variables and files will do."""
    if key.scheme in LOCAL_SCHEMES and not local:
        found = f"{key.scheme}:// ({LOCAL_SCHEMES[key.scheme]})"
        yield Offender("the key is not kept in a secret manager", key.reference, found, MANAGED)
    if not key.found:
        yield Offender("the secret does not exist", key.reference, key.missing or f"nothing in {key.store}", "the key")
    elif key.state != "enabled":
        yield Offender("the secret's version cannot be used", key.reference, key.state, "enabled")
    elif key.empty:
        yield Offender("the secret is empty", key.reference, "no characters other than white space", "the key")


@check(
    "SEC-002",
    severity="blocker",
    remedy="""\
Copy the key anew from https://console.mistral.ai/api-keys and store it byte for byte: no quotes, no white space, no
line break at the end (`echo` adds one, `printf %s` does not):

    read -rs KEY && printf %s "$KEY" | wc -c      # must print 32
    printf %s "$KEY" > key                        # then give this file to your store, and: shred -u key""",
)
def test_the_key_is_a_real_key(provider_key_shape: KeyShape) -> None:
    """The key is a real Mistral key, byte for byte: no placeholder, no stray characters, no other provider's key."""
    assert list(misshapen(provider_key_shape)) == []


def misshapen(shape: KeyShape) -> Iterator[Offender]:
    """What is wrong with the key's form. Says the kind, never the value."""
    where = shape.reference
    if shape.blanks:
        yield Offender("the key has white space around it", where, "spaces or tabs", "none")
    if shape.line_breaks:
        yield Offender("the key has a line break in or after it", where, "a line break", "none")
    if shape.quotes:
        yield Offender("the key has quotes around it", where, "quotation marks as part of the value", "none")
    if shape.placeholder:
        yield Offender("a placeholder stands in the key's place", where, shape.placeholder, "the key")
    elif shape.issuer:
        yield Offender("the key is one of another provider", where, f"the prefix of {shape.issuer}", "a Mistral key")
    elif shape.mistral_host and (shape.length != KEY_LENGTH or not shape.alphanumeric):
        kind = "letters and digits" if shape.alphanumeric else "characters that are not all letters and digits"
        expected = f"{KEY_LENGTH} letters and digits, as {shape.host} issues them"
        yield Offender("the key has not the form of a Mistral key", where, f"{shape.length} {kind}", expected)


@check(
    "SEC-003",
    severity="blocker",
    waivable=False,
    remedy="""\
401: the key is wrong, deleted or expired, or belongs to another host (Codestral keys work on codestral.mistral.ai
only, and the other way round); a new key may take minutes to work. 403: the key may not do this in its workspace.
Make a new key in https://console.mistral.ai/api-keys, store it under the reference above, restart what reads it, and
see whether it is accepted:

    curl -sS -o /dev/null -w '%{http_code}\\n' -H "Authorization: Bearer $KEY" https://api.mistral.ai/v1/models""",
)
def test_the_mistral_api_accepts_the_key(provider_models: ProviderModels) -> None:
    """The Mistral API accepts the key."""
    assert list(refused(provider_models)) == []


def refused(models: ProviderModels) -> Iterator[Offender]:
    """That the API refused the key, where it did."""
    said = str(models.error or models.status)
    if models.status == 401:
        yield Offender("the key is not accepted", f"GET {models.url}", said, "200")
    elif models.status == 403:
        yield Offender("the key is known but not allowed to list the models", f"GET {models.url}", said, "200")
