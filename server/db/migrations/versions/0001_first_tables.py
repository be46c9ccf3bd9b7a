"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "booking",
        sa.Column("resource", sa.String(length=48), nullable=False),
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("resource", "visit_id"),
    )
    op.create_table(
        "kit",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("bag_recipient", sa.String(length=2400), nullable=False),
        sa.Column("added", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bag_version", sa.Integer(), nullable=False),
        sa.Column("bag_date", sa.Date(), nullable=True),
        sa.Column("bag_sha256", sa.String(length=64), nullable=True),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("presence", sa.String(length=8), nullable=False),
        sa.Column("presence_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("birth", sa.JSON(), nullable=True),
        sa.Column("health", sa.JSON(), nullable=True),
        sa.Column("health_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kit_id"),
    )
    op.create_table(
        "message",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("message_id", sa.String(length=26), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("kit_id", "message_id"),
    )
    op.create_index("ix_message_received", "message", ["received"], unique=False)
    op.create_table(
        "municipality",
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("tenant"),
    )
    op.create_table(
        "officer",
        sa.Column("officer_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("officer_id"),
    )
    op.create_index("ix_officer_tenant", "officer", ["tenant"], unique=False)
    op.create_table(
        "outbox",
        sa.Column(
            "row_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("queue", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("body", sa.String(length=80), nullable=False),
        sa.Column("run_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("row_id"),
    )
    op.create_index("outbox_by_subject", "outbox", ["queue", "subject"], unique=False)
    op.create_index("outbox_next", "outbox", ["queue", "run_after"], unique=False)
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "account",
        sa.Column("account_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=True),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.PrimaryKeyConstraint("account_id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "kit_tenant",
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["kit_id"],
            ["kit.kit_id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.PrimaryKeyConstraint("kit_id", "tenant"),
    )
    op.create_table(
        "postcode",
        sa.Column("postcode", sa.String(length=4), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.PrimaryKeyConstraint("postcode"),
    )
    op.create_index("ix_postcode_tenant", "postcode", ["tenant"], unique=False)
    op.create_table(
        "request",
        sa.Column("request_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("service_id", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("evidence", sa.String(length=24), nullable=False),
        sa.Column("requester", sa.String(length=16), nullable=False),
        sa.Column("half_days", sa.JSON(), nullable=False),
        sa.Column("postcode", sa.String(length=4), nullable=False),
        sa.Column("municipality", sa.String(length=80), nullable=False),
        sa.Column("twin", sa.String(length=64), nullable=False),
        sa.Column("merged_into", sa.String(length=26), nullable=True),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("birth_date", sa.LargeBinary(), nullable=False),
        sa.Column("national_number", sa.LargeBinary(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=False),
        sa.Column("street", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("requester_name", sa.LargeBinary(), nullable=False),
        sa.Column("requester_contact", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["merged_into"],
            ["request.request_id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("ix_request_tenant", "request", ["tenant"], unique=False)
    op.create_index("request_by_twin", "request", ["tenant", "twin"], unique=False)
    op.create_table(
        "upload",
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("written", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("touched", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["kit_id"],
            ["kit.kit_id"],
        ),
        sa.PrimaryKeyConstraint("packet_id"),
    )
    op.create_index("ix_upload_kit_id", "upload", ["kit_id"], unique=False)
    op.create_table(
        "sign_in",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=26), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.account_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("ix_sign_in_account_id", "sign_in", ["account_id"], unique=False)
    op.create_table(
        "status_code",
        sa.Column("code_sha256", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["request.request_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("code_sha256"),
    )
    op.create_index("ix_status_code_tenant", "status_code", ["tenant"], unique=False)
    op.create_table(
        "visit",
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("request_id", sa.String(length=26), nullable=False),
        sa.Column("service_id", sa.String(length=80), nullable=False),
        sa.Column("officer_id", sa.String(length=40), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["kit_id"],
            ["kit.kit_id"],
        ),
        sa.ForeignKeyConstraint(
            ["officer_id"],
            ["officer.officer_id"],
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["request.request_id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.PrimaryKeyConstraint("visit_id"),
    )
    op.create_index("ix_visit_kit_id", "visit", ["kit_id"], unique=False)
    op.create_index("ix_visit_request_id", "visit", ["request_id"], unique=False)
    op.create_index("ix_visit_starts", "visit", ["starts"], unique=False)
    op.create_index("ix_visit_tenant", "visit", ["tenant"], unique=False)
    op.create_table(
        "application",
        sa.Column("packet_id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=10), nullable=False),
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("service_id", sa.String(length=80), nullable=False),
        sa.Column("kit_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kit_cert_serial", sa.String(length=64), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("blob_sha256", sa.String(length=64), nullable=True),
        sa.Column("uploaded", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("receipt", sa.String(), nullable=True),
        sa.Column("answered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_on_kit", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["kit_id"],
            ["kit.kit_id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenant"],
            ["municipality.tenant"],
        ),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["visit.visit_id"],
        ),
        sa.PrimaryKeyConstraint("packet_id"),
        sa.UniqueConstraint("kit_id", "kit_cert_serial", "seq"),
    )
    op.create_index("ix_application_kit_id", "application", ["kit_id"], unique=False)
    op.create_index("ix_application_state", "application", ["state"], unique=False)
    op.create_index("ix_application_tenant", "application", ["tenant"], unique=False)
    op.create_index("ix_application_visit_id", "application", ["visit_id"], unique=False)


def downgrade() -> None:
    op.drop_table("application")
    op.drop_table("visit")
    op.drop_table("status_code")
    op.drop_table("sign_in")
    op.drop_table("upload")
    op.drop_table("request")
    op.drop_table("postcode")
    op.drop_table("kit_tenant")
    op.drop_table("account")
    op.drop_table("throttle")
    op.drop_table("outbox")
    op.drop_table("officer")
    op.drop_table("municipality")
    op.drop_table("message")
    op.drop_table("kit")
    op.drop_table("booking")
