"""A SageMaker pipeline definition attached to the stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.component import Component, ComponentArgs, Role

JOBS = ("Processing", "Training")
"""Kinds of jobs that a step can be."""


@dataclass(frozen=True, kw_only=True)
class PipelineArgs(ComponentArgs):
    """What the pipeline does, compiled, and as whom."""

    pipeline: str
    """Its role in the name, such as `training`."""

    definition: pulumi.Input[str]
    """The compiled JSON."""

    role: Role

    max_parallel_steps: int = 2
    """Steps of one execution that run at once. Default: 2."""

    depends_on: Sequence[pulumi.Resource] = ()
    """What the definition names but Pulumi cannot see in its text. Default: nothing."""

    jobs: Sequence[str] = JOBS
    """Kinds of jobs that its steps are. Default: all."""


class Pipeline(Component):
    """A pipeline whose role may start jobs and nothing else."""

    pipeline_name: pulumi.Output[str]
    pipeline_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: PipelineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)
        self._grant_jobs(args.role, args.jobs)
        pipeline = aws.sagemaker.Pipeline(
            f"{name}-{args.pipeline}",
            pipeline_name=self.names.of(args.pipeline),
            pipeline_display_name=self.names.of(args.pipeline),
            pipeline_definition=args.definition,
            role_arn=args.role.arn,
            parallelism_configuration={"max_parallel_execution_steps": args.max_parallel_steps},
            tags=self.tags(args.pipeline),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.depends_on)),
        )
        self.pipeline_name = pipeline.pipeline_name
        self.pipeline_arn = pipeline.arn
        self.seal()

    def _grant_jobs(self, role: Role, kinds: Sequence[str]) -> None:
        """SageMaker names the jobs of a pipeline `pipelines-<execution>-<step>-<suffix>`."""
        self.grant(
            role,
            "jobs",
            [
                {
                    "Action": [
                        "sagemaker:AddTags",
                        *(
                            f"sagemaker:{verb}{kind}Job"
                            for verb in ("Create", "Describe", "Stop")
                            for kind in kinds
                        ),
                    ],
                    "Resource": [
                        self.names.arn("sagemaker", f"{kind.lower()}-job/pipelines-*")
                        for kind in kinds
                    ],
                }
            ],
        )
