"""Ten pipelines of the shapes that AWS's public sample notebooks have, built with its SDK (v2).

Their programs are a line or two: what is tried is the definition, and what the steps say of each
other. Each is upserted, started, followed to its end and deleted.
"""

import json
import sys
import threading
import time
from pathlib import Path

import boto3
from cases import case, run
from notebook_steps import (
    BUCKET,
    DEPLOY,
    MACHINE,
    ROLE,
    SKLEARN,
    TUNED,
    at,
    ended,
    followed,
    function,
    model_of,
    newest,
    output,
    process,
    ps,
    refusal,
    registered,
    s3,
    sm,
    statuses,
    train,
    writes,
)
from sagemaker.drift_check_baselines import DriftCheckBaselines
from sagemaker.inputs import TrainingInput
from sagemaker.lambda_helper import Lambda
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.sklearn.estimator import SKLearn
from sagemaker.transformer import Transformer
from sagemaker.tuner import ContinuousParameter, HyperparameterTuner
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep
from sagemaker.workflow.check_job_config import CheckJobConfig
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import (
    ConditionEquals,
    ConditionGreaterThanOrEqualTo,
    ConditionIn,
    ConditionLessThanOrEqualTo,
    ConditionNot,
    ConditionOr,
)
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parallelism_config import ParallelismConfiguration
from sagemaker.workflow.parameters import (
    ParameterBoolean,
    ParameterFloat,
    ParameterInteger,
    ParameterString,
)
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.quality_check_step import DataQualityCheckConfig, QualityCheckStep
from sagemaker.workflow.retry import StepExceptionTypeEnum, StepRetryPolicy
from sagemaker.workflow.selective_execution_config import SelectiveExecutionConfig
from sagemaker.workflow.steps import (
    CacheConfig,
    ProcessingStep,
    TrainingStep,
    TransformStep,
    TuningStep,
)


def evaluated(prepare: ProcessingStep, fitted: TrainingStep) -> tuple:
    """A step that judges, its report, and what a package says of it."""
    report = PropertyFile("Report", "out", "evaluation.json")
    told = {"regression_metrics": {"mse": {"value": 4.9, "standard_deviation": 2.2}}}
    evaluate = process(
        "AbaloneEval",
        writes(**{"evaluation.json": json.dumps(told)}),
        [fitted.properties.ModelArtifacts.S3ModelArtifacts, output(prepare)],
        [report],
    )
    metrics = ModelMetrics(
        model_statistics=MetricsSource(
            s3_uri=Join(on="/", values=[output(evaluate), "evaluation.json"]),
            content_type="application/json",
        )
    )
    return evaluate, report, metrics


@case
def abalone_evaluates_then_registers_and_creates() -> None:
    least, approval = (
        ParameterFloat("MseThreshold", default_value=6.0),
        ParameterString("Approval", default_value="Approved"),
    )
    prepare = process("AbalonePrepare", writes(**{"rows.csv": "1,2"}))
    fitted = train("AbaloneTrain", output(prepare))
    evaluate, report, metrics = evaluated(prepare, fitted)
    model = model_of(fitted)
    register = registered(
        "AbaloneRegister",
        model,
        "abalone",
        approval_status=approval,
        model_metrics=metrics,
        inference_instances=[MACHINE],
        transform_instances=[MACHINE],
    )
    create = ModelStep("AbaloneCreate", step_args=model.create(instance_type=MACHINE))
    condition = ConditionStep(
        "AbaloneMse",
        conditions=[
            ConditionLessThanOrEqualTo(
                left=JsonGet(
                    step_name="AbaloneEval",
                    property_file=report,
                    json_path="regression_metrics.mse.value",
                ),
                right=least,
            )
        ],
        if_steps=[register, create],
        else_steps=[FailStep("AbaloneFail", Join(on=" ", values=["MSE >", least]))],
    )
    pipeline = Pipeline(
        "abalone",
        [least, approval],
        steps=[prepare, fitted, evaluate, condition],
        sagemaker_session=ps,
    )
    steps, _ = ended(pipeline)
    assert set(statuses(steps).values()) == {"Succeeded"}, statuses(steps)
    shown = newest("abalone")
    assert shown["ModelApprovalStatus"] == "Approved"
    assert shown["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].endswith("evaluation.json")
    failed, _ = ended(pipeline, "Failed", MseThreshold=3.0)
    assert "MSE > 3.0" in failed["AbaloneFail"]["FailureReason"]


@case
def churn_checks_data_quality_and_registers_with_baselines() -> None:
    skip = ParameterBoolean("SkipCheck", default_value=True)
    new = ParameterBoolean("NewBaseline", default_value=True)
    rows = "a,b\n" + "".join(f"{n},{n % 3}\n" for n in range(40))
    prepare = process("ChurnPrepare", writes(**{"rows.csv": rows}))
    check = QualityCheckStep(
        "DataQuality",
        skip_check=skip,
        register_new_baseline=new,
        model_package_group_name="churn",
        quality_check_config=DataQualityCheckConfig(
            baseline_dataset=output(prepare),
            dataset_format=DatasetFormat.csv(header=True),
            output_s3_uri=at("quality"),
        ),
        check_job_config=CheckJobConfig(role=ROLE, instance_type=MACHINE, sagemaker_session=ps),
    )
    fitted = train("ChurnTrain", output(prepare), depends_on=[check])
    baselines = DriftCheckBaselines(
        model_data_statistics=MetricsSource(
            s3_uri=check.properties.BaselineUsedForDriftCheckStatistics,
            content_type="application/json",
        ),
        model_data_constraints=MetricsSource(
            s3_uri=check.properties.BaselineUsedForDriftCheckConstraints,
            content_type="application/json",
        ),
    )
    register = ModelStep(
        "ChurnRegister",
        step_args=model_of(fitted).register(
            content_types=["text/csv"],
            response_types=["text/csv"],
            model_package_group_name="churn",
            drift_check_baselines=baselines,
            approval_status="Approved",
        ),
    )
    pipeline = Pipeline(
        "churn", [skip, new], steps=[prepare, check, fitted, register], sagemaker_session=ps
    )
    ended(pipeline)
    arn = sm.list_model_packages(ModelPackageGroupName="churn")["ModelPackageSummaryList"][0][
        "ModelPackageArn"
    ]
    shown = sm.describe_model_package(ModelPackageName=arn)["DriftCheckBaselines"]
    assert shown["ModelDataQuality"]["Statistics"]["S3Uri"].startswith("s3://"), shown
    again, _ = ended(pipeline, SkipCheck=False, NewBaseline=False)
    assert again["DataQuality"]["StepStatus"] == "Succeeded"


@case
def lambda_step_deploys_what_was_trained() -> None:
    arn = function("deploy", DEPLOY)
    prepare = process("P", writes(**{"rows.csv": "1"}))
    fitted = train("T", output(prepare))
    create = ModelStep("M", step_args=model_of(fitted).create(instance_type=MACHINE))
    deploy = LambdaStep(
        "Deploy",
        Lambda(function_arn=arn, session=ps),
        inputs={"model_name": create.properties.ModelName, "endpoint_name": "from-lambda"},
        outputs=[
            LambdaOutput("statusCode", LambdaOutputTypeEnum.Integer),
            LambdaOutput("endpoint", LambdaOutputTypeEnum.String),
        ],
        cache_config=CacheConfig(enable_caching=False),
    )
    good = ConditionStep(
        "Good",
        conditions=[ConditionEquals(deploy.properties.Outputs["statusCode"], 200.0)],
        if_steps=[
            process(
                "After",
                "import sys; assert sys.argv[1] == 'from-lambda'",
                arguments=[deploy.properties.Outputs["endpoint"]],
            )
        ],
        else_steps=[FailStep("Bad", "no")],
    )
    pipeline = Pipeline(
        "lambda", steps=[prepare, fitted, create, deploy, good], sagemaker_session=ps
    )
    ended(pipeline)
    sm.get_waiter("endpoint_in_service").wait(EndpointName="from-lambda", WaiterConfig={"Delay": 1})
    runtime = boto3.client("sagemaker-runtime")
    told = runtime.invoke_endpoint(
        EndpointName="from-lambda", Body=b"3", ContentType="text/csv", Accept="text/csv"
    )["Body"].read()
    assert float(told) == 6, told
    sm.delete_endpoint(EndpointName="from-lambda")


@case
def callback_step_waits_for_a_worker() -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="work")["QueueUrl"]
    ask = CallbackStep(
        "Ask",
        sqs_queue_url=url,
        inputs={"input_location": f"s3://{BUCKET}/in", "n": 3},
        outputs=[
            CallbackOutput("where", CallbackOutputTypeEnum.String),
            CallbackOutput("count", CallbackOutputTypeEnum.Integer),
        ],
    )
    use = process(
        "Use",
        "import sys; assert sys.argv[1:] == ['there', '7'], sys.argv",
        arguments=[
            ask.properties.Outputs["where"],
            Join(on="", values=[ask.properties.Outputs["count"]]),
        ],
    )

    def work() -> None:
        for _ in range(60):
            for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
                body = json.loads(message["Body"])
                assert body["arguments"] == {"input_location": f"s3://{BUCKET}/in", "n": 3}, body
                sm.send_pipeline_execution_step_success(
                    CallbackToken=body["token"],
                    OutputParameters=[
                        {"Name": "where", "Value": "there"},
                        {"Name": "count", "Value": "7"},
                    ],
                )
                return

    worker = threading.Thread(target=work)
    worker.start()
    ended(Pipeline("callback", steps=[ask, use], sagemaker_session=ps))
    worker.join()


@case
def tuning_step_registers_its_best_model() -> None:
    prepare = process("TunePrepare", writes(**{"rows.csv": "1"}))
    Path("tuned.py").write_text(TUNED)
    fitted = SKLearn(
        entry_point="tuned.py",
        framework_version="1.2-1",
        role=ROLE,
        instance_type=MACHINE,
        sagemaker_session=ps,
        output_path=f"s3://{BUCKET}/tuned",
    )
    tuner = HyperparameterTuner(
        fitted,
        "loss",
        {"eta": ContinuousParameter(0.1, 0.9)},
        objective_type="Minimize",
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
        max_jobs=3,
        max_parallel_jobs=3,
    )
    tune = TuningStep("Tune", step_args=tuner.fit({"train": TrainingInput(output(prepare))}))
    best = Model(
        SKLEARN,
        tune.get_top_model_s3_uri(0, BUCKET, "tuned"),
        ROLE,
        env={"SAGEMAKER_PROGRAM": "inference.py"},
        sagemaker_session=ps,
    )
    second = Model(
        SKLEARN, tune.get_top_model_s3_uri(1, BUCKET, "tuned"), ROLE, sagemaker_session=ps
    )
    register = registered("TuneRegister", best, "tuned")
    create = ModelStep("TuneSecond", step_args=second.create(instance_type=MACHINE))
    steps, _ = ended(
        Pipeline("tuning", steps=[prepare, tune, register, create], sagemaker_session=ps)
    )
    job = steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    shown = sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
    uri = newest("tuned")["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert shown["BestTrainingJob"]["TrainingJobName"] in uri, uri


@case
def batch_transform_scores_and_is_checked() -> None:
    prepare = process("ScorePrepare", writes(**{"rows.csv": "1,2\n3,4\n"}))
    fitted = train("ScoreTrain", output(prepare))
    create = ModelStep("ScoreModel", step_args=model_of(fitted).create(instance_type=MACHINE))
    transformer = Transformer(
        create.properties.ModelName,
        1,
        MACHINE,
        strategy="MultiRecord",
        accept="text/csv",
        assemble_with="Line",
        output_path=at("scores"),
        sagemaker_session=ps,
    )
    score = TransformStep(
        "Score",
        step_args=transformer.transform(
            data=Join(on="/", values=[output(prepare), "rows.csv"]),
            content_type="text/csv",
            split_type="Line",
            join_source="Input",
            output_filter="$",
        ),
        retry_policies=[
            StepRetryPolicy(exception_types=[StepExceptionTypeEnum.SERVICE_FAULT], max_attempts=2)
        ],
    )
    look = process(
        "Look",
        "import pathlib\nfound = pathlib.Path('/opt/ml/processing/in0/rows.csv.out').read_text()\n"
        "assert [float(x) for x in found.split()[1].split(',')] == [3, 4, 6, 8], found",
        [score.properties.TransformOutput.S3OutputPath],
    )
    ended(Pipeline("score", steps=[prepare, fitted, create, score, look], sagemaker_session=ps))


@case
def conditions_nest_and_fail_says_why() -> None:
    stage, size = (
        ParameterString("Stage", default_value="dev", enum_values=["dev", "prod"]),
        ParameterInteger("Size", default_value=5),
    )
    inner = ConditionStep(
        "Big",
        conditions=[ConditionGreaterThanOrEqualTo(size, 10)],
        if_steps=[process("Large", "")],
        else_steps=[process("Small", "")],
    )
    outer = ConditionStep(
        "Known",
        conditions=[
            ConditionOr(
                [ConditionIn(stage, ["dev", "test"]), ConditionNot(ConditionEquals(size, 0))]
            )
        ],
        if_steps=[inner],
        else_steps=[
            FailStep(
                "Never", Join(on=":", values=["stage", stage, ExecutionVariables.PIPELINE_NAME])
            )
        ],
    )
    pipeline = Pipeline("conditions", [stage, size], steps=[outer], sagemaker_session=ps)
    steps, _ = ended(pipeline)
    assert steps["Known"]["Metadata"]["Condition"]["Outcome"] == "True"
    assert "Small" in steps and "Large" not in steps, statuses(steps)
    failed, _ = ended(pipeline, "Failed", Stage="prod", Size=0)
    assert failed["Never"]["FailureReason"].endswith("stage:prod:conditions"), failed["Never"]
    assert "Stage" in refusal(lambda: pipeline.start({"Stage": "other"}))


@case
def selective_execution_takes_the_rest_from_an_earlier_run() -> None:
    first = process("One", writes(**{"n.txt": "1"}))
    second = process(
        "Two",
        "import pathlib; assert pathlib.Path('/opt/ml/processing/in0/n.txt').read_text() == '1'",
        [output(first)],
    )
    third = process("Three", "", depends_on=["Two"])
    pipeline = Pipeline("selective", steps=[first, second, third], sagemaker_session=ps)
    _, execution = ended(pipeline)
    again = pipeline.start(
        selective_execution_config=SelectiveExecutionConfig(
            selected_steps=["Two"], source_pipeline_execution_arn=execution.arn
        )
    )
    steps, _ = followed(again)
    assert "Three" not in steps, steps
    assert steps["One"]["SelectiveExecutionResult"]["SourcePipelineExecutionArn"] == execution.arn


@case
def a_step_fails_is_stopped_and_run_again() -> None:
    code = f"import boto3\nboto3.client('s3').head_object(Bucket={BUCKET!r}, Key='flag')\n"
    first, second = process("First", ""), process("Second", code, depends_on=["First"])
    pipeline = Pipeline("again", steps=[first, second], sagemaker_session=ps)
    _, execution = ended(pipeline, "Failed")
    s3.put_object(Bucket=BUCKET, Key="flag", Body=b"")
    sm.retry_pipeline_execution(PipelineExecutionArn=execution.arn, ClientRequestToken="r" * 40)
    followed(execution)
    slow = Pipeline(
        "slow", steps=[process("Slow", "import time; time.sleep(300)")], sagemaker_session=ps
    )
    slow.upsert(role_arn=ROLE)
    running = slow.start()
    time.sleep(3)
    running.stop()
    followed(running, "Stopped")


@case
def many_branches_keep_to_their_parallelism() -> None:
    starts = [process(f"B{n}", writes(**{"n.txt": str(n)})) for n in range(4)]
    code = (
        "import pathlib\nfolder = pathlib.Path('/opt/ml/processing')\n"
        "found = sorted(p.read_text() for p in folder.glob('in*/n.txt'))\n"
        "assert found == ['0', '1', '2', '3'], found"
    )
    joined = process("Join", code, [output(step) for step in starts])
    pipeline = Pipeline("branches", steps=[*starts, joined], sagemaker_session=ps)
    pipeline.upsert(role_arn=ROLE, parallelism_config=ParallelismConfiguration(2))
    execution = pipeline.start(
        parallelism_config={"MaxParallelExecutionSteps": 2},
        execution_display_name="two-at-a-time",
        execution_description="d",
    )
    steps, _ = followed(execution)
    moments = sorted(
        (moment, change)
        for name, step in steps.items()
        if name != "Join"
        for moment, change in ((step["StartTime"], 1), (step["EndTime"], -1))
    )
    running = most = 0
    for _, change in moments:
        running += change
        most = max(most, running)
    assert most <= 2, moments
    assert execution.describe()["PipelineExecutionDisplayName"] == "two-at-a-time"
    pipeline.delete()


if __name__ == "__main__":
    run(sys.argv[1:])
