"""MilestoneService."""

from sqlalchemy.ext.asyncio import AsyncConnection

from project_provisioning.commands import milestone as commands
from project_provisioning.domain.document import Document, read_document
from project_provisioning.domain.milestone import Acceptance, EvidenceDiffers
from project_provisioning.grpc_api.caller import sight_of_caller, subject_of_caller
from project_provisioning.queries import expense as document_queries
from project_provisioning.queries import provisioning as queries
from project_provisioning.wire import document as document_wire
from project_provisioning.wire import milestone as wire
from throughline.project_provisioning.v1 import milestone_service_pb2 as pb
from throughline.project_provisioning.v1.milestone_service_pb2_grpc import MilestoneServiceServicer
from throughline_runtime.context import Context
from throughline_runtime.database import read
from throughline_runtime.fields import (
    read_date,
    read_optional_date,
    read_optional_enum,
    read_optional_uuid,
    read_uuid,
)
from throughline_runtime.once import once
from throughline_runtime.page import read_page


class MilestoneServicer(MilestoneServiceServicer):
    """Milestones."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._engine = context.engine

    async def GetMilestone(
        self, request: pb.GetMilestoneRequest, context: object
    ) -> pb.GetMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        async with read(self._engine) as tx:
            milestone = await queries.get_milestone(tx, milestone_id, sight_of_caller())
        return pb.GetMilestoneResponse(milestone=wire.write_milestone(milestone))

    async def ListMilestones(
        self, request: pb.ListMilestonesRequest, context: object
    ) -> pb.ListMilestonesResponse:
        page = read_page(request)
        contract_id = read_optional_uuid("contract_id", request.contract_id)
        project_id = read_optional_uuid("project_id", request.project_id)
        status = read_optional_enum("status", request.status, wire.STATUSES)
        async with read(self._engine) as tx:
            milestones, token = await queries.milestones(
                tx,
                contract_id=contract_id,
                project_id=project_id,
                status=status,
                sight=sight_of_caller(),
                page=page,
            )
        return pb.ListMilestonesResponse(
            milestones=map(wire.write_milestone, milestones), next_page_token=token
        )

    async def CompleteMilestone(
        self, request: pb.CompleteMilestoneRequest, context: object
    ) -> pb.CompleteMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        on = read_optional_date("completed_on", request.completed_on)

        async def handle(tx: AsyncConnection) -> pb.CompleteMilestoneResponse:
            milestone = await commands.complete_milestone(
                tx, milestone_id, on=on, clock=self._context.clock
            )
            return pb.CompleteMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.CompleteMilestoneResponse, handle)

    async def AcceptMilestone(
        self, request: pb.AcceptMilestoneRequest, context: object
    ) -> pb.AcceptMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        evidence = _read_evidence(request)
        acceptance = Acceptance(
            accepted_by=request.accepted_by,
            accepted_on=read_date("accepted_on", request.accepted_on),
            evidence_sha256=evidence.sha256 if evidence else request.evidence_sha256,
        )

        async def handle(tx: AsyncConnection) -> pb.AcceptMilestoneResponse:
            milestone = await commands.accept_milestone(
                tx,
                milestone_id,
                acceptance,
                evidence,
                by=subject_of_caller(),
                clock=self._context.clock,
            )
            return pb.AcceptMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.AcceptMilestoneResponse, handle)

    async def RejectMilestone(
        self, request: pb.RejectMilestoneRequest, context: object
    ) -> pb.RejectMilestoneResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)

        async def handle(tx: AsyncConnection) -> pb.RejectMilestoneResponse:
            milestone = await commands.reject_milestone(tx, milestone_id, reason=request.reason)
            return pb.RejectMilestoneResponse(milestone=wire.write_milestone(milestone))

        return await once(self._engine, request, pb.RejectMilestoneResponse, handle)

    async def GetMilestoneEvidence(
        self, request: pb.GetMilestoneEvidenceRequest, context: object
    ) -> pb.GetMilestoneEvidenceResponse:
        milestone_id = read_uuid("milestone_id", request.milestone_id)
        async with read(self._engine) as tx:
            evidence = await document_queries.evidence(tx, milestone_id, sight_of_caller())
        return pb.GetMilestoneEvidenceResponse(evidence=document_wire.write_document(evidence))


def _read_evidence(request: pb.AcceptMilestoneRequest) -> Document | None:
    """Return the document sent along, if any.

    Raises:
        DocumentTypeRefused: it is not of its type.
        EvidenceDiffers: it has another hash than the one sent with it.
    """
    if not request.HasField("evidence"):
        return None
    evidence = read_document(
        request.evidence.content_type, request.evidence.content, field="evidence.content"
    )
    if request.evidence_sha256 not in {"", evidence.sha256}:
        raise EvidenceDiffers(
            "the document has another hash",
            field="evidence_sha256",
            advice="send the document alone, or its own hash with it",
        )
    return evidence
