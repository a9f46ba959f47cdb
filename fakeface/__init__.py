"""Fakeface: tell real face photos from faces composited in Photoshop. The library that the pipeline's stages import.

    core        what every room uses: errors, parameters, table schemas, files written whole, work on all cores
    photos      from a file to pixels, and what happens to photos on their way through the net
    faces       found in a photo, aligned in a crop, and which part of a face each pixel shows
    relations   which photos share a part: features, shortlist, matching
    training    from packed photos to a calibrated network: the loop, losses, augmentation, checkpoints, devices
    scoring     from predictions to numbers: scores, intervals, slices, baselines, comparison
    reporting   from numbers to figures, pages and the model card
    synthetic   the sample that the project draws itself
    tracking    MLflow runs, and the store that they are in
    web         the page on which anybody judges a photo of their own
    commands    what `fakeface` runs
    predictor   from a photo to a verdict on each face in it
    detector    a trained model as it is used, without torch
    params      params.yaml in types, and the check of the whole file

Imports only point down: commands > web > reporting > scoring, training, relations, synthetic, tracking > predictor > detector >
faces > photos > params > core.
"""

__version__ = "0.1.0"
