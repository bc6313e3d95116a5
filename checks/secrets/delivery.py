"""How the key gets into the containers, and whether what is there is what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.provider import ClusterSecret, KeyDelivery, KeyShape

ANNOTATION_TRACE = "kubectl.kubernetes.io/last-applied-configuration"

STANDS = {
    "env": "the key stands in the workload's environment as a value",
    "ConfigMap": "the key stands in a ConfigMap",
    "annotation": "the key stands in an annotation",
    "command": "the key stands in a container's command line",
}


@check(
    "SEC-006",
    severity="blocker",
    remedy=f"""\
Let the container take the key from a Secret, and rotate the key: whoever could read the Deployment, the ConfigMap or
the annotation has seen it. (`kubectl apply` keeps a copy in the annotation {ANNOTATION_TRACE}; apply the manifest
anew after the change.)

    env:
      - name: MISTRAL_API_KEY
        valueFrom:
          secretKeyRef: {{name: mistral, key: api-key}}""",
)
def test_the_deployment_takes_the_key_by_reference(key_delivery: KeyDelivery) -> None:
    """The deployment takes the key by reference, and nowhere in it does the key stand as a value."""
    assert list(exposed(key_delivery)) == []


def exposed(delivery: KeyDelivery) -> Iterator[Offender]:
    """Each place where the key lies open; and where it does not, that there is no reference either."""
    for place in delivery.values:
        yield Offender(STANDS[place.kind], f"{delivery.workload}, {place.where}", "a literal value", "a reference")
    if not delivery.references and not delivery.values:
        found = f"no {delivery.variable} in env, no Secret in envFrom, no secrets-store volume"
        yield Offender("nothing gives the workload the key", delivery.workload, found, "a secretKeyRef")


def no_secret(cluster_secret: ClusterSecret) -> str | None:
    """SEC-007 is about a Secret; how a key gets there without one is SEC-006's."""
    if cluster_secret.keys:
        return None
    return f"{cluster_secret.workload} takes {cluster_secret.variable} from no Secret; SEC-006 says how it gets there"


@check(
    "SEC-007",
    severity="blocker",
    applies=no_secret,
    remedy="""\
Write the store's key into the cluster's Secret and restart the pods, which read it at their start only. Where an
operator synchronises it (External Secrets, Vault), ask that one for its state first:

    kubectl describe externalsecret -n NAMESPACE
    kubectl create secret generic SECRET -n NAMESPACE --from-file=KEY=key --dry-run=client -o yaml | kubectl apply -f -
    kubectl rollout restart deployment/NAME -n NAMESPACE""",
)
def test_the_clusters_secret_equals_the_store(cluster_secret: ClusterSecret, provider_key_shape: KeyShape) -> None:
    """The Secret that the deployment reads exists, and holds the key that the store holds."""
    assert list(out_of_step(cluster_secret, provider_key_shape)) == []


def out_of_step(secret: ClusterSecret, store: KeyShape) -> Iterator[Offender]:
    """Each Secret that does not hold the store's key. Keys are told apart by fingerprint."""
    for key in secret.keys:
        where = f"Secret {key.secret}"
        if not key.found:
            yield Offender("the Secret does not exist", where, "none", f"one with the key {key.key}")
        elif not key.key_found:
            yield Offender("the Secret lacks the key that the workload reads", where, f"no {key.key}", key.key)
        elif key.empty:
            yield Offender("the Secret's key is empty", f"{where}, key {key.key}", "no value", "the store's key")
        elif key.fingerprint != store.fingerprint:
            found, expected = f"fingerprint {key.fingerprint}", f"{store.fingerprint} as in {store.reference}"
            yield Offender("the Secret differs from the store", f"{where}, key {key.key}", found, expected)
