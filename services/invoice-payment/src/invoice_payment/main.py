"""The composition of invoice-payment; the only module that reads the environment."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from invoice_payment.consumers import subscriptions
from invoice_payment.grpc_api.credits import CreditServicer
from invoice_payment.grpc_api.invoices import InvoiceServicer, TaxServicer
from invoice_payment.grpc_api.ledger import (
    AccountServicer,
    JournalServicer,
    NumberSeriesServicer,
    PaymentServicer,
)
from invoice_payment.grpc_api.receivables import BillableItemServicer, ReceivableServicer
from invoice_payment.grpc_api.runs import InvoiceRunServicer
from invoice_payment.queries.totals import control_totals
from invoice_payment.schedules import SCHEDULES
from throughline.invoice_payment.v1 import (
    billable_item_service_pb2_grpc,
    credit_service_pb2_grpc,
    invoice_run_service_pb2_grpc,
    invoice_service_pb2_grpc,
    journal_service_pb2_grpc,
    number_series_service_pb2_grpc,
    payment_service_pb2_grpc,
    receivable_service_pb2_grpc,
    tax_service_pb2_grpc,
)
from throughline_runtime.clock import Clock
from throughline_runtime.context import Context
from throughline_runtime.rpc.server import Mount
from throughline_runtime.service import Service, run

_CLOCK_FILE: Final = os.environ.get("THROUGHLINE_CLOCK_FILE")


def _servicers(context: Context) -> Sequence[Mount]:
    return [
        (
            invoice_run_service_pb2_grpc.add_InvoiceRunServiceServicer_to_server,
            InvoiceRunServicer(context),
        ),
        (invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server, InvoiceServicer(context)),
        (tax_service_pb2_grpc.add_TaxServiceServicer_to_server, TaxServicer(context)),
        (payment_service_pb2_grpc.add_PaymentServiceServicer_to_server, PaymentServicer(context)),
        (journal_service_pb2_grpc.add_JournalServiceServicer_to_server, JournalServicer(context)),
        (journal_service_pb2_grpc.add_AccountServiceServicer_to_server, AccountServicer(context)),
        (
            number_series_service_pb2_grpc.add_NumberSeriesServiceServicer_to_server,
            NumberSeriesServicer(context),
        ),
        (
            receivable_service_pb2_grpc.add_ReceivableServiceServicer_to_server,
            ReceivableServicer(context),
        ),
        (
            billable_item_service_pb2_grpc.add_BillableItemServiceServicer_to_server,
            BillableItemServicer(context),
        ),
        (credit_service_pb2_grpc.add_CreditServiceServicer_to_server, CreditServicer(context)),
    ]


SERVICE: Final = Service(
    name="invoice-payment",
    package="invoice_payment",
    servicers=_servicers,
    subscriptions=subscriptions(Clock(Path(_CLOCK_FILE) if _CLOCK_FILE else None)),
    schedules=SCHEDULES,
    control_totals=control_totals,
    hands_out_documents=True,
)


def main() -> None:
    """Run the role named on the command line."""
    run(SERVICE)
