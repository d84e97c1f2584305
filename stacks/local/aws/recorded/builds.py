"""CodeBuild. No build runs; a project that is not there is an error and not left out."""

from stacks.local.aws.recorded.recorded import Recorded

KINDS = (
    Recorded(
        service="codebuild",
        name="project",
        create="CreateProject",
        describe="BatchGetProjects",
        list="ListProjects",
        update=("UpdateProject",),
        delete="DeleteProject",
        key={"name": "name"},
        member="projects",
        listed_by="names",
        made={"arn": "arn:aws:codebuild:{region}:{account}:project/{name}"},
        times=("created", "lastModified"),
        exists="ResourceAlreadyExistsException",
    ),
)
