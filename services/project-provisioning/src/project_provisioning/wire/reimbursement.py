"""What people are paid back as messages."""

from project_provisioning.domain.reimbursement import Reimbursable, Reimbursement
from throughline.project_provisioning.v1 import reimbursement_service_pb2 as pb
from throughline_runtime.fields import write_date, write_id, write_money


def write_reimbursable(open_: Reimbursable) -> pb.Reimbursable:
    """Return what a person is to be paid back."""
    return pb.Reimbursable(
        person_id=write_id(open_.person_id),
        person_name=open_.person_name,
        legal_entity_id=write_id(open_.legal_entity_id),
        amount=write_money(open_.amount),
        line_count=open_.line_count,
        first_on=write_date(open_.first_on),
        last_on=write_date(open_.last_on),
    )


def write_reimbursement(paid: Reimbursement) -> pb.Reimbursement:
    """Return a payment to a person."""
    return pb.Reimbursement(
        reimbursement_id=write_id(paid.reimbursement_id),
        person_id=write_id(paid.person_id),
        legal_entity_id=write_id(paid.legal_entity_id),
        amount=write_money(paid.amount),
        line_count=paid.line_count,
        incurred_before=write_date(paid.incurred_before),
        payment_reference=paid.payment_reference,
        paid_on=write_date(paid.paid_on),
        recorded_by=paid.recorded_by,
    )
