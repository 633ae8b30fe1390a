"""Reader of Keras: ``archive`` and ``hdf5`` take files apart, ``config`` makes one form of all versions' JSON."""
