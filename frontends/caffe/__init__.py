"""Reader of Caffe: ``prototxt`` parses the net's text, ``schema`` types it, ``inference`` leaves what runs,
``caffemodel`` finds the weights, ``handlers`` translate layers."""
