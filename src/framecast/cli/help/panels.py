"""All options: the panel of the help in which each stands, the order there, the rare ones, and the new names of old ones.

One name has one meaning in all commands. Lists are plural (--metrics); what may be repeated is singular (--set).
"""

PANELS = {
    "Data": "--data --var --frames --split --grey --shrink --range --units --size --length --count --number --speed "
    "--digits-file --channels --dims --times --step-minutes --missing --axis --covariates",
    "Model": "--models --model --context --horizon --steps --budget --batch-size --lr --from --set --seed --seeds "
    "--patch --trained --recipes --source --class --members --as-ensemble --product --errors --check --calibrate --clip "
    "--max-filled --licence --private",
    "Scores": "--baselines --metrics --thresholds --limit --by-lead --scales --in-dbz --block --by-channel --whole "
    "--known-only",
    "Service": "--host --port --token-file --open-map --no-token --max-age --queue --max-batch --max-body --max-horizon "
    "--max-held",
    "Archive": "--every --groups --region --dask --dashboard --task --task-size --recheck",
    "Loop": "--watch --once --poll --keep --write --verify --settle --retry --tolerance --match --storage",
    "Studies": "--what --saturated --tsne-steps",
    "Measurement": "--setting --tasks --batch-sizes --forms --opponent --growth --quick --again --pairs --minutes "
    "--formats --run --sizes",
    "Output": "--to --out --example --runtime --card-only --picture --no-picture --pictures --strip --plume --at "
    "--motion --page --sequence --quiet --json",
    "Machine": "--device --precision --threads --max-memory --tile --overlap --unpack-limit",
}
"""{panel: its options, the most common first}."""
RARE = (
    "--times --step-minutes --missing --axis --covariates --class --seed --scales --in-dbz --block --by-channel --whole "
    "--known-only --saturated --tsne-steps --motion --sequence --precision --max-memory --tile --overlap --unpack-limit "
    "--calibrate --speed --number --clip --errors --check --at --max-filled --settle --retry --tolerance --match "
    "--storage --dashboard --task-size --recheck --task "
    "--queue --max-batch --max-body --max-horizon --max-held --no-token --open-map --max-age --verify"
)
"""Options that only --help-all shows."""
HELP_ALL = "--help-all"
RENAMED = {
    "--baseline": "--baselines",
    "--batches": "--batch-sizes",
    "--digits": "--digits-file",
    "--frames": "--pictures --length",
    "--gif": "--out",
    "--model": "--class",
    "--pictures": "--tsne-steps",
    "--scale": "--in-dbz",
    "--sequences": "--limit",
}
"""{old name: new names, of which a command has one}."""
