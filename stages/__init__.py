"""Fakeface: a pipeline that learns to tell real face photos from composites.

Read `dvc.yaml` first. A module that runs bears the name of its stage, a verb; a module that is imported is a noun.

    sample           draw the embedded sample of face-like photos and composites
    index            find the images, read their labels, reject what cannot be used
    relate           find the images that share a photo or a part of one
    split            put every image on one side, train, valid or test, related images on the same
    pack             decode each train and valid image once, to fixed-size arrays
    compute_stats    per-channel mean and deviation of the train images
    train            train one classifier, `ce` or `bce`, and calibrate it
    infer            p_fake of every image, and of the test images after compression, resizing, blur and noise
    evaluate         score both classifiers, with intervals, slices and what they have to beat
    report           draw the figures and the page, write the model card, tell MLflow
    predict          judge photos of your own
    show             print the table of both classifiers' scores
    average_folds    mean and spread of a cross-validation's folds

    faces            how a face-like photo and a composite are drawn
    images           from a file to pixels
    relations        which images share a photo or a pasted part of one
    candidates       the pairs of images worth a closer look, however many images there are
    spills           records that wait on disk
    packed           one side of the packed images, with its labels
    augmentation     random changes to a batch of train images
    objectives       the two losses, and how each turns logits into p_fake
    classifier       architectures, weights, the network that is exported
    torchvision_ops  how torchvision is imported beside a CPU torch
    training         a network in training, one epoch at a time
    devices          what a training computes on
    waiting          how torch's threads wait for each other
    depthwise        depthwise convolutions with a fast backward pass on a CPU
    resume           what an interrupted training needs to go on
    calibration      the temperature and the thresholds, chosen on valid
    detector         a trained classifier as it is used, without torch
    perturbations    what happens to photos on their way: compression, resizing, blur, noise
    predictions      what both models make of the images, joined to the split
    scores           what is measured on predictions
    intervals        how far a score might be off by chance
    slices           which test images belong together
    baselines        what can be told without looking at the picture
    comparison       whether a difference means anything
    figures          pictures of it, drawn with matplotlib
    mistakes         what a model judges wrong and is surest about
    pages            the report and the model card: templates filled in, and what they say in words
    tracking         what MLflow is told
    records          the tables and JSON files that the stages exchange
    tables           rows too many for memory, sorted and joined on disk
    params           params.yaml, checked
    errors           what is said to the user when something is wrong
"""
