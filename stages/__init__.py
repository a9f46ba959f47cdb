"""Fakeface: a pipeline that learns to tell real face photos from composites.

Read `dvc.yaml` first. A module that runs bears the name of its stage, a verb; a module that is imported is a noun.

    sample           draw the embedded sample of face-like photos and composites
    index            find the images, read their labels, reject what cannot be used
    relate           find the images that share a photo or a part of one (run by hand; `split` does not use it yet)
    split            put every image on one side: train, valid or test
    pack             decode each image once, to fixed-size arrays
    compute_stats    per-channel mean and deviation of the train images
    train            train one classifier: `ce` or `bce`
    evaluate         score both classifiers on the test images
    predict          judge photos of your own
    show             print the table of both classifiers' scores

    faces            how a face-like photo and a composite are drawn
    images           from a file to pixels
    relations        which images share a photo or a pasted part of one
    packed           one side of the packed images, with its labels
    augmentation     random changes to a batch of train images
    objectives       the two losses, and how each turns logits into p_fake
    classifier       architectures, weights, the network that is exported
    torchvision_ops  how torchvision is imported beside a CPU torch
    training         a network in training, one epoch at a time
    devices          what a training computes on
    resume           what an interrupted training needs to go on
    detector         a trained classifier as it is used, without torch
    scores           what is measured on predictions
    figures          pictures of it, drawn with matplotlib
    tracking         what MLflow is told
    records          the tables and JSON files that the stages exchange
    params           params.yaml, checked
    errors           what is said to the user when something is wrong
"""
