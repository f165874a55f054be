#include "freshet.h"
#include "run.h"
const RunMethods keyed_methods = {0};
