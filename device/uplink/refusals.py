"""Which refusals of the fleet are final: what is wrong lies in the sealed packet itself, and nobody can
change that.

Everything else (a kit not yet known, a root not yet installed, a municipality not yet served, a clock) may
be put right at the fleet, and such a packet is offered again
(docs/decisions/0110-when-a-refusal-is-final.md).
"""

FINAL = frozenset(
    {
        # docs/protocol.md 3: container, manifest, payload
        *("not-a-packet", "truncated", "too-large", "trailing-bytes"),
        *("manifest-not-canonical", "manifest-malformed", "signatures-malformed"),
        *("group-missing", "payload-digest", "age-header", "cms-structure", "label-mismatch"),
        "recipients-mismatch",
        # signatures that will not become right, whoever is trusted
        *("kit-signature", "officer-signature", "certificate-usage", "wrong-signer", "too-old"),
        # what the upload says of itself
        *(
            "wrong-packet-id",
            "packet-differs",
            "bad-packet-id",
            "bad-size",
            "too-long",
        ),
    }
)


def is_final(code: str) -> bool:
    return code in FINAL
