"""The lines that are typed into a shell: an AWS CLI user's day with SageMaker."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command line and what it must come to."""

    text: str
    prints: str = ""
    """Regular expression that is found in what it prints. Default: anything."""

    keeps: str = ""
    """Variable that has its output for the later lines. Default: none."""

    code: int = 0
    """Exit code; the AWS CLI's first version ends with 255 where the service refuses."""


SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
MACHINE = '{"InstanceCount":1,"InstanceType":"ml.m5.large","VolumeSizeInGB":5}'
OWN = "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1"
VARIANT = "VariantName=a,ModelName=m,InitialInstanceCount=1,InstanceType=ml.m5.large"
LOSS = "echo loss=0.25; echo x > /opt/ml/model/w"
TRAIN = (
    "aws sagemaker create-training-job --training-job-name t1 --role-arn $ROLE "
    f"""--algorithm-specification '{{"TrainingImage":"{OWN}","TrainingInputMode":"File","""
    f""""ContainerEntrypoint":["bash","-c"],"ContainerArguments":["{LOSS}"],"""
    """"MetricDefinitions":[{"Name":"loss","Regex":"loss=([0-9.]+)"}]}' """
    f"--output-data-config S3OutputPath=s3://shop-ml/models --resource-config '{MACHINE}' "
    "--stopping-condition MaxRuntimeInSeconds=600"
)


def processing(name: str, command: str) -> str:
    """A line that runs a command of bash as a processing job."""
    application = f'{{"ImageUri":"{OWN}","ContainerEntrypoint":["bash","-c","{command}"]}}'
    return (
        f"aws sagemaker create-processing-job --processing-job-name {name} --role-arn $ROLE "
        f"--app-specification '{application}' --processing-resources "
        f"""'{{"ClusterConfig":{MACHINE}}}'"""
    )


FEATURES = "FeatureName=id,FeatureType=String FeatureName=t,FeatureType=String"
RECORD = "FeatureName=id,ValueAsString=a FeatureName=t,ValueAsString=2026-01-01T00:00:00Z"
INFERENCE = (
    "Containers=[{Image=" + SKLEARN + ",ModelDataUrl=s3://shop-ml/model.tar.gz}],"
    "SupportedContentTypes=text/csv,SupportedResponseMIMETypes=text/csv"
)

ACCOUNT = (
    Line(text="aws sts get-caller-identity --query Account --output text", prints="123456789012"),
    Line(text="aws configure list", prints="us-east-1"),
    Line(
        text="aws iam create-role --role-name ml --assume-role-policy-document file://trust.json "
        "--query Role.Arn --output text",
        prints="role/ml",
        keeps="ROLE",
    ),
    Line(
        text="aws iam attach-role-policy --role-name ml --policy-arn "
        "arn:aws:iam::aws:policy/AdministratorAccess"
    ),
    Line(text="aws iam wait role-exists --role-name ml"),
    Line(
        text="aws iam list-attached-role-policies --role-name ml --output text", prints="Administ"
    ),
    Line(text="aws s3 mb s3://shop-ml", prints="make_bucket"),
    Line(text="aws s3 cp model.tar.gz s3://shop-ml/model.tar.gz", prints="upload"),
    Line(text="aws s3 cp rows.csv s3://shop-ml/in/rows.csv"),
    Line(text="aws s3 ls s3://shop-ml/ --recursive --human-readable", prints="in/rows.csv"),
    Line(text="aws s3 sync s3://shop-ml/in here && cat here/rows.csv", prints="3,4"),
    Line(
        text="aws s3api list-objects-v2 --bucket shop-ml --query 'Contents[].Key' --max-items 1",
        prints="rows",
    ),
    Line(text="aws s3 presign s3://shop-ml/in/rows.csv | xargs curl -s", prints="1,2"),
    Line(text="aws ecr create-repository --repository-name own", prints="repositoryArn"),
)

JOBS = (
    Line(text=processing("p1", "exit"), prints="processing-job/p1"),
    Line(text="aws sagemaker wait processing-job-completed-or-stopped --processing-job-name p1"),
    Line(
        text="aws sagemaker describe-processing-job --processing-job-name p1 --query "
        "ProcessingJobStatus --output text",
        prints="^Completed",
    ),
    Line(text=processing("p2", "exit 3"), prints="p2"),
    Line(
        text="aws sagemaker wait processing-job-completed-or-stopped --processing-job-name p2",
        prints="Waiter",
        code=255,
    ),
    Line(
        text="aws sagemaker list-processing-jobs --status-equals Failed --query "
        "'ProcessingJobSummaries[].FailureReason' --output text",
        prints="exit code: 3",
    ),
    Line(text=processing("p3", "sleep 300"), prints="p3"),
    Line(text="aws sagemaker stop-processing-job --processing-job-name p3"),
    Line(text="aws sagemaker wait processing-job-completed-or-stopped --processing-job-name p3"),
    Line(text=TRAIN, prints="training-job/t1"),
    Line(text="aws sagemaker wait training-job-completed-or-stopped --training-job-name t1"),
    Line(
        text="aws sagemaker describe-training-job --training-job-name t1 --query "
        "'[TrainingJobStatus,FinalMetricDataList[0].Value]' --output text",
        prints="Completed\t0.25",
    ),
    Line(
        text="aws sagemaker list-training-jobs --name-contains t --sort-by Name --output table",
        prints="t1",
    ),
    Line(text=TRAIN, prints="ResourceInUse", code=255),
    Line(
        text="aws sagemaker describe-training-job --training-job-name none",
        prints="Requested resource not found",
        code=255,
    ),
    Line(
        text="aws logs describe-log-streams --log-group-name /aws/sagemaker/TrainingJobs "
        "--query 'logStreams[0].logStreamName' --output text",
        prints="t1/algo-1",
        keeps="STREAM",
    ),
    Line(
        text="aws logs get-log-events --log-group-name /aws/sagemaker/TrainingJobs "
        "--log-stream-name $STREAM --query 'events[].message'",
        prints="loss=0.25",
    ),
    Line(
        text="aws logs filter-log-events --log-group-name /aws/sagemaker/TrainingJobs "
        "--filter-pattern loss --query 'events[].message'",
        prints="loss=0.25",
    ),
    Line(
        text="aws sagemaker search --resource TrainingJob --search-expression "
        "'Filters=[{Name=TrainingJobName,Operator=Equals,Value=t1}]'",
        prints="t1",
    ),
)

SERVING = (
    Line(
        text="aws sagemaker create-model --model-name m --execution-role-arn $ROLE "
        f"--primary-container Image={SKLEARN},ModelDataUrl=s3://shop-ml/model.tar.gz,"
        "Environment={SAGEMAKER_PROGRAM=inference.py} --tags Key=team,Value=ml",
        prints="model/m",
    ),
    Line(
        text="aws sagemaker create-model --model-name m --execution-role-arn $ROLE "
        f"--primary-container Image={SKLEARN}",
        prints="Cannot create already existing model",
        code=255,
    ),
    Line(
        text="aws sagemaker list-tags --resource-arn "
        "arn:aws:sagemaker:us-east-1:123456789012:model/m",
        prints="team",
    ),
    Line(
        text="aws sagemaker create-endpoint-config --endpoint-config-name c --production-variants "
        + VARIANT,
        prints="endpoint-config/c",
    ),
    Line(text="aws sagemaker create-endpoint --endpoint-name e --endpoint-config-name c"),
    Line(text="aws sagemaker wait endpoint-in-service --endpoint-name e"),
    Line(
        text="aws sagemaker-runtime invoke-endpoint --endpoint-name e --content-type text/csv "
        "--accept application/json --body 1,2 out.json && cat out.json",
        prints=r"2(\.0)?, ?4",
    ),
    Line(
        text="aws sagemaker list-endpoints --status-equals InService --query "
        "'Endpoints[].EndpointName' --output text",
        prints="^e",
    ),
    Line(
        text="aws sagemaker create-transform-job --transform-job-name b --model-name m "
        "--transform-input 'DataSource={S3DataSource={S3DataType=S3Prefix,"
        "S3Uri=s3://shop-ml/in}},ContentType=text/csv,SplitType=Line' --transform-output "
        "S3OutputPath=s3://shop-ml/out,AssembleWith=Line,Accept=text/csv --transform-resources "
        "InstanceType=ml.m5.large,InstanceCount=1",
        prints="transform-job/b",
    ),
    Line(text="aws sagemaker wait transform-job-completed-or-stopped --transform-job-name b"),
    Line(text="aws s3 cp s3://shop-ml/out/rows.csv.out -", prints="6"),
    Line(text="aws sagemaker delete-endpoint --endpoint-name e"),
    Line(text="aws sagemaker wait endpoint-deleted --endpoint-name e"),
    Line(text="aws sagemaker delete-endpoint-config --endpoint-config-name c"),
    Line(
        text="aws sagemaker describe-endpoint --endpoint-name e",
        prints="Could not find endpoint",
        code=255,
    ),
)

REGISTRY = (
    Line(text="aws sagemaker create-model-package-group --model-package-group-name g"),
    *(
        Line(
            text="aws sagemaker create-model-package --model-package-group-name g "
            f"--inference-specification '{INFERENCE}' --query ModelPackageArn --output text",
            prints=f"model-package/g/{number}",
            keeps="PACKAGE",
        )
        for number in (1, 2)
    ),
    Line(
        text="aws sagemaker update-model-package --model-package-arn $PACKAGE "
        "--model-approval-status Approved --approval-description good"
    ),
    Line(
        text="aws sagemaker list-model-packages --model-package-group-name g "
        "--model-approval-status Approved --query "
        "'ModelPackageSummaryList[].ModelPackageVersion' --output text",
        prints="^2$",
    ),
    Line(
        text="aws sagemaker list-model-packages --model-package-group-name g --page-size 1 "
        "--query 'length(ModelPackageSummaryList)'",
        prints="2|1\n1",
    ),
    Line(
        text="aws sagemaker list-model-packages --model-package-group-name g --max-items 1",
        prints="NextToken",
    ),
    Line(
        text="aws sagemaker describe-model-package --model-package-name $PACKAGE --output text",
        prints="Approved",
    ),
    Line(
        text="aws sagemaker batch-describe-model-package --model-package-arn-list $PACKAGE",
        prints="g",
    ),
    Line(text="aws sagemaker delete-model-package --model-package-name $PACKAGE"),
    Line(
        text="aws sagemaker delete-model-package-group --model-package-group-name g",
        prints="ConflictException",
        code=255,
    ),
)

PIPELINES = (
    Line(
        text="aws sagemaker create-pipeline --pipeline-name p --role-arn $ROLE "
        "--pipeline-definition file://pipeline.json",
        prints="pipeline/p",
    ),
    *(
        Line(
            text="aws sagemaker start-pipeline-execution --pipeline-name p --pipeline-parameters "
            f"Name=Limit,Value={limit} --query PipelineExecutionArn --output text && sleep 5",
            prints="execution",
            keeps="EXECUTION",
        )
        for limit in (5, 1)
    ),
    Line(
        text="aws sagemaker describe-pipeline-execution --pipeline-execution-arn $EXECUTION",
        prints="Failed",
    ),
    Line(
        text="aws sagemaker list-pipeline-execution-steps --pipeline-execution-arn $EXECUTION "
        "--query 'PipelineExecutionSteps[].[StepName,StepStatus]' --output text",
        prints="Stop\tFailed",
    ),
    Line(
        text="aws sagemaker list-pipeline-executions --pipeline-name p --query "
        "'PipelineExecutionSummaries[].PipelineExecutionStatus' --output text",
        prints="Failed\tSucceeded",
    ),
    Line(
        text="aws sagemaker update-pipeline --pipeline-name p --pipeline-description two",
        prints="pipeline/p",
    ),
    Line(text="aws sagemaker list-pipelines --pipeline-name-prefix p", prints="PipelineArn"),
    Line(text="aws sagemaker delete-pipeline --pipeline-name p", prints="pipeline/p"),
)

FEATURE_STORE = (
    Line(
        text="aws sagemaker create-feature-group --feature-group-name f "
        "--record-identifier-feature-name id --event-time-feature-name t --feature-definitions "
        f"{FEATURES} --online-store-config EnableOnlineStore=true --role-arn $ROLE",
        prints="feature-group/f",
    ),
    Line(
        text="sleep 2; aws sagemaker describe-feature-group --feature-group-name f --query "
        "FeatureGroupStatus",
        prints="Created",
    ),
    Line(
        text="aws sagemaker-featurestore-runtime put-record --feature-group-name f "
        f"--record {RECORD}"
    ),
    Line(
        text="aws sagemaker-featurestore-runtime get-record --feature-group-name f "
        "--record-identifier-value-as-string a --feature-names t",
        prints="2026-01-01",
    ),
    Line(
        text="aws sagemaker-featurestore-runtime batch-get-record --identifiers "
        "FeatureGroupName=f,RecordIdentifiersValueAsString=a,b",
        prints="2026-01-01",
    ),
    Line(
        text="aws sagemaker-featurestore-runtime delete-record --feature-group-name f "
        "--record-identifier-value-as-string a --event-time 2026-02-01T00:00:00Z"
    ),
    Line(text="aws sagemaker delete-feature-group --feature-group-name f"),
)

REST = (
    Line(text="aws sagemaker create-experiment --experiment-name x", prints="experiment/x"),
    Line(text="aws sagemaker create-trial --trial-name y --experiment-name x", prints="trial/y"),
    Line(text="aws sagemaker list-trials --experiment-name x", prints="y"),
    Line(
        text="aws sagemaker create-notebook-instance --notebook-instance-name n --instance-type "
        "ml.t3.medium --role-arn $ROLE",
        prints="notebook-instance/n",
    ),
    Line(text="aws sagemaker wait notebook-instance-in-service --notebook-instance-name n"),
    Line(text="aws sagemaker stop-notebook-instance --notebook-instance-name n"),
    Line(text="aws sagemaker wait notebook-instance-stopped --notebook-instance-name n"),
    Line(text="aws sagemaker delete-notebook-instance --notebook-instance-name n"),
    Line(text="aws sagemaker wait notebook-instance-deleted --notebook-instance-name n"),
    Line(text="aws sagemaker create-image --image-name i --role-arn $ROLE", prints="image/i"),
    Line(text="aws sagemaker wait image-created --image-name i"),
    Line(text="aws sagemaker list-mlflow-apps", prints="Summaries"),
    Line(text="aws sagemaker list-domains --max-items 5", prints="Domains"),
    Line(
        text="aws sagemaker add-tags --resource-arn "
        "arn:aws:sagemaker:us-east-1:123456789012:model/m --tags Key=a,Value=b",
        prints='"a"',
    ),
    Line(
        text="aws resourcegroupstaggingapi get-resources --resource-type-filters sagemaker "
        "--query 'ResourceTagMappingList[].ResourceARN'",
        prints="model/m",
    ),
    Line(
        text="aws sagemaker create-auto-ml-job-v2 --auto-ml-job-name j --auto-ml-job-input-data-"
        "config ChannelType=training --output-data-config S3OutputPath=s3://shop-ml/a "
        "--auto-ml-problem-type-config TabularJobConfig={TargetAttributeName=y} --role-arn $ROLE "
        "&& aws sagemaker describe-auto-ml-job-v2 --auto-ml-job-name j --query AutoMLJobStatus",
        prints="Failed",
    ),
    Line(
        text="aws sagemaker delete-model --model-name m && aws sagemaker list-models",
        prints=r'"Models": \[\]',
    ),
    Line(text="aws s3 rb s3://shop-ml --force", prints="remove_bucket"),
)

LINES = (*ACCOUNT, *JOBS, *SERVING, *REGISTRY, *PIPELINES, *FEATURE_STORE, *REST)
