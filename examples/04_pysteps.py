"""An ensemble of framecast in pysteps: as a nowcast by its name, and blended with a weather model by STEPS.

python examples/04_pysteps.py [OUT]
"""

import sys
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import numpy as np
import pysteps
from scipy.ndimage import gaussian_filter

import framecast

out = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example-4")
out.mkdir(parents=True, exist_ok=True)
members, hour = 2, 12
framecast.pysteps.register()  # an installed framecast is found by pysteps without it

# rain rates of the Finnish composite, dB of mm/h as STEPS takes them, with the metadata of pysteps
tiles = np.load(files("framecast.trained") / "rain" / "example.npz")
codes = tiles["frames"][1].astype(float)
reflectivity = np.where(codes == tiles["missing_code"], 0, codes * tiles["scale"] + tiles["offset"])
described = {
    "unit": "dBZ",
    "transform": "dB",
    "accutime": 5,
    "threshold": 5.0,
    "zerovalue": 0.0,
    "zr_a": 200,
    "zr_b": 1.6,
}
rates, described = pysteps.utils.conversion.to_rainrate(reflectivity, described)
rain, described = pysteps.utils.transformation.dB_transform(rates, described, threshold=0.1, zerovalue=-15.0)
past, last = rain[:8], rain[7]

# what stands for a weather model here: what came, too smooth and ten pixels off
model = np.stack([np.roll(gaussian_filter(frame, 4), 10, 1) for frame in rain[7:]])
motion = pysteps.motion.get_method("lucaskanade")(past[-3:], verbose=False)

nowcast = pysteps.nowcasts.get_method("framecast")(
    past, motion, hour, n_ens_members=members, metadata=described, timestep=5
)
blended = pysteps.blending.get_method("steps")(
    precip=past[-3:],
    precip_models=model[None],
    velocity=motion,
    velocity_models=np.broadcast_to(motion, (1, hour + 1, *motion.shape)),
    timesteps=hour,
    timestep=5,
    issuetime=datetime(2016, 9, 28, 17, 0),
    n_ens_members=members,
    precip_nowcast=np.concatenate([np.broadcast_to(last, (members, 1, *last.shape)), nowcast], 1),
    nowcasting_method="external_nowcast",
    n_cascade_levels=5,
    precip_thr=described["threshold"],
    kmperpixel=1.0,
    outdir_path_skill=str(out),
    seed=0,
)
np.save(out / "blended.npy", blended)
print(blended.shape, "members, lead times, rows, columns; dB of mm/h, up to", np.nanmax(blended).round(1))
