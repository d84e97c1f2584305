"""Builds."""

from stacks.local.provider.aws.row import ALL, Call, Missing, Row, Tags, named

ROWS = (
    Row(
        token="aws:codebuild/project:Project",
        service="codebuild",
        cfn="AWS::CodeBuild::Project",
        create=Call("CreateProject"),
        read=Call("BatchGetProjects", key={"names": ["{id}"]}, result="projects[0]"),
        update=(Call("UpdateProject", ALL),),
        delete=Call("DeleteProject"),
        identity=named("name"),
        key={"name": "{id}"},
        rename={
            "buildTimeout": "timeoutInMinutes",
            "cloudwatchLogs": "cloudWatchLogs",
            "queuedTimeout": "queuedTimeoutInMinutes",
        },
        defaults={"environment.imagePullCredentialsType": "CODEBUILD"},
        replace_on=("name",),
        ordered=("environment.environmentVariables",),
        refuses=(
            "projectVisibility",
            "resourceAccessRole",
        ),
        outputs={"arn": "arn"},
        tags=Tags(
            create="tags",
            add="UpdateProject",
            remove="UpdateProject",
            member="tags",
            key={"name": "{id}"},
            whole=True,
            path="tags[].{Key: key, Value: value}",
        ),
        missing=(Missing("ResourceNotFoundException"),),
        fidelity="recorded only: no build runs",
    ),
)
