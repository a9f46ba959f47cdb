"""The pipeline: one module per stage of `dvc.yaml`, in its order.

    sample           draw the sample of face-like photos and composites
    scan             list the files in the photos' folders, with the SHA-256 of each
    index            find the images, read their labels, reject what cannot be used
    relate           find near-duplicates and shared parts (data leakage)
    split            put every image on one side, train, valid or test, related images on the same
    find_faces       find the largest face in each photo, and the points of its mesh
    pack             decode each train and valid image once, to fixed-size arrays
    compute_stats    per-channel mean and standard deviation of the train images
    train            train one classifier, `ce` or `bce`, and calibrate it
    infer            p_fake of every image, of test images after perturbations, of valid ones as the web leaves them
    evaluate         score both classifiers, as distributed and after the web, with intervals, slices and baselines
    report           draw the figures and the page, write the model card, log to MLflow

Everything that they import stands in `fakeface/`; a stage imports no other stage.
"""
