"""CustomerService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.commands import customer as commands
from customer_contract.domain.values import CustomerId
from customer_contract.queries import parties as queries
from customer_contract.repository import customer as repository
from customer_contract.wire.customer import (
    CUSTOMER_OUTCOME,
    read_mark,
    read_profile,
    write_customer,
)
from customer_contract.wire.party_details import TAX_STATUS
from customer_contract.wire.values import read_source
from throughline.customer_contract.v1 import customer_service_pb2 as pb
from throughline.customer_contract.v1.customer_service_pb2_grpc import CustomerServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import read_date, read_optional_enum, read_optional_uuid, read_uuid
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class CustomerServicer(CustomerServiceServicer):
    """The parties that buy."""

    def __init__(self, context: Context) -> None:
        self._engine = context.engine

    async def CreateCustomer(
        self, request: pb.CreateCustomerRequest, context: object
    ) -> pb.CreateCustomerResponse:
        profile = read_profile(request)
        source = read_source(request.source)
        mark = read_mark(request)

        async def handle(tx: AsyncConnection) -> pb.CreateCustomerResponse:
            customer, outcome = await commands.create(
                tx,
                profile,
                source=source,
                mark=mark,
                keeps_details=not request.HasField("details"),
            )
            return pb.CreateCustomerResponse(
                customer=write_customer(customer), outcome=CUSTOMER_OUTCOME.write(outcome)
            )

        return await once(self._engine, request, pb.CreateCustomerResponse, handle)

    async def UpdateCustomer(
        self, request: pb.UpdateCustomerRequest, context: object
    ) -> pb.UpdateCustomerResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))
        profile = read_profile(request)

        async def handle(tx: AsyncConnection) -> pb.UpdateCustomerResponse:
            customer = await commands.update(
                tx,
                customer_id,
                profile,
                version=request.version,
                keeps_details=not request.HasField("details"),
            )
            return pb.UpdateCustomerResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.UpdateCustomerResponse, handle)

    async def EndCustomer(
        self, request: pb.EndCustomerRequest, context: object
    ) -> pb.EndCustomerResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))
        on = read_date("end_on", request.end_on)

        async def handle(tx: AsyncConnection) -> pb.EndCustomerResponse:
            customer = await commands.end(
                tx, customer_id, on=on, reason=request.reason, version=request.version
            )
            return pb.EndCustomerResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.EndCustomerResponse, handle)

    async def ReopenCustomer(
        self, request: pb.ReopenCustomerRequest, context: object
    ) -> pb.ReopenCustomerResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))

        async def handle(tx: AsyncConnection) -> pb.ReopenCustomerResponse:
            customer = await commands.reopen(
                tx, customer_id, reason=request.reason, version=request.version
            )
            return pb.ReopenCustomerResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.ReopenCustomerResponse, handle)

    async def PlaceCreditHold(
        self, request: pb.PlaceCreditHoldRequest, context: object
    ) -> pb.PlaceCreditHoldResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))

        async def handle(tx: AsyncConnection) -> pb.PlaceCreditHoldResponse:
            customer = await commands.place_hold(tx, customer_id, reason=request.reason)
            return pb.PlaceCreditHoldResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.PlaceCreditHoldResponse, handle)

    async def ReleaseCreditHold(
        self, request: pb.ReleaseCreditHoldRequest, context: object
    ) -> pb.ReleaseCreditHoldResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))

        async def handle(tx: AsyncConnection) -> pb.ReleaseCreditHoldResponse:
            customer = await commands.release_hold(tx, customer_id, reason=request.reason)
            return pb.ReleaseCreditHoldResponse(customer=write_customer(customer))

        return await once(self._engine, request, pb.ReleaseCreditHoldResponse, handle)

    async def GetCustomer(
        self, request: pb.GetCustomerRequest, context: object
    ) -> pb.GetCustomerResponse:
        customer_id = CustomerId(read_uuid("customer_id", request.customer_id))
        async with read(self._engine) as tx:
            customer = await repository.get(tx, customer_id)
        return pb.GetCustomerResponse(customer=write_customer(customer))

    async def ListCustomers(
        self, request: pb.ListCustomersRequest, context: object
    ) -> pb.ListCustomersResponse:
        page = read_page(request)
        tax_status = read_optional_enum("tax_status", request.tax_status, TAX_STATUS)
        parent = read_optional_uuid("parent_customer_id", request.parent_customer_id)
        async with read(self._engine) as tx:
            customers, token = await queries.customers(
                tx,
                page,
                tax_status=tax_status,
                country=request.country,
                name_prefix=request.name_prefix,
                parent_customer_id=parent,
                on_credit_hold=request.on_credit_hold,
                not_ended=request.not_ended,
            )
        return pb.ListCustomersResponse(customers=customers, next_page_token=token)
