"""What benchmark_model printed over the years: the lines that matter, and those around them that must not confuse a reader."""

TF_1_13 = '''\
STARTING!
Num runs: [50]
Loaded model /data/local/tmp/m.tflite
resolved reporter
Initialized session in 4.452ms
Running benchmark for 1 iterations
Running benchmark for 50 iterations
Average inference timings in us: Warmup: 146161, Init: 4452, no stats: 137722
'''
TF_1_14 = '''\
STARTING!
Min num runs: [50]
Num threads: [1]
Graph: [/data/local/tmp/m.tflite]
Loaded model /data/local/tmp/m.tflite
Initialized session in 38.467ms
Running benchmark for at least 1 iterations and at least 0.5 seconds
count=6 first=91254 curr=81544 min=81544 max=91254 avg=83235 std=3481

Running benchmark for at least 50 iterations and at least 1 seconds
count=50 first=79112 curr=80102 min=78955 max=83212 avg=79760.9 std=812

Average inference timings in us: Warmup: 83235, Init: 38467, Inference: 79760.9
Overall max resident set size = 20.3 MB, total malloc-ed size = 0 MB, in-use allocated/mmapped size = 0 MB
'''
TF_2_4 = '''\
STARTING!
Log parameter values verbosely: [0]
Loaded model /data/local/tmp/m.tflite
The input model file size (MB): 4.56118
Initialized session in 16.242ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=2 first=360262 curr=248910 min=248910 max=360262 avg=304586 std=55676

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=249042 curr=250889 min=247067 max=254474 avg=249684 std=1442

Inference timings in us: Init: 16242, First inference: 360262, Warmup (avg): 304586, Inference (avg): 249684
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory footprint of the \
model at runtime. Take the information at your discretion.
Peak memory footprint (MB): init=4.92969 overall=138.809
'''
TF_2_7 = '''\
STARTING!
Loaded model m.tflite
count=1 curr=3512391

count=1 curr=3490117

Inference timings in us: Init: 9310, First inference: 3512391, Warmup (avg): 3.51239e+06, Inference (avg): 3.49012e+06
Memory footprint delta from the start of the tool (MB): init=4.21094 overall=46.0859
'''
TF_2_10 = '''\
INFO: STARTING!
INFO: Loaded model m.tflite
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=35 first=19105 curr=13909 min=13585 max=19105 avg=14452.5 std=1240

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=71 first=14012 curr=13851 min=13513 max=15822 avg=14011.9 std=402

INFO: Inference timings in us: Init: 3337, First inference: 19105, Warmup (avg): 14452.5, Inference (avg): 14011.9
INFO: Overall peak memory footprint (MB) via periodic monitoring: 93.2383
INFO: Memory status at the end of exeution:
INFO: - VmRSS              : 13 MB
INFO: + RssAnnon           : 7 MB
INFO: + RssFile + RssShmem : 6 MB
'''
LITERT_2025 = '''\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Num threads: [1]
INFO: Graph: [m.tflite]
INFO: Signature to run: []
INFO: #threads used for CPU inference: [1]
INFO: Loaded model m.tflite
INFO: The input model file size (MB): 4.56118
INFO: Initialized session in 52.687ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=9 first=87112 curr=51629 min=51629 max=87112 avg=58147.4 std=11478 p5=51629 median=51962 p95=87112

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=50 first=51803 curr=51777 min=51402 max=53950 avg=51931.2 std=421 p5=51455 median=51850 p95=52710

INFO: Inference timings in us: Init: 52687, First inference: 87112, Warmup (avg): 58147.4, Inference (avg): 51931.2
'''
ALL_THE_SAME = '''\
INFO: count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602
INFO: count=4 curr=12(all same) p5=12 median=12 p95=12
INFO: Inference timings in us: Init: 52, First inference: 1357602, Warmup (avg): 1.3576e+06, Inference (avg): 12
'''
COMPILED_MODEL = '''\
INFO: [benchmark_litert_model.cc:101] Loaded model m.tflite
INFO: [benchmark_model.cc:310] count=9 first=5112 curr=4629 min=4629 max=5112 avg=4704.4 std=152 p5=4629 median=4650 p95=5112
INFO: [benchmark_model.cc:310] count=217 first=4612 curr=4605 min=4590 max=4811 avg=4611.61 std=21 p5=4594 median=4607 p95=4650
INFO: [benchmark_litert_model.h:88] ========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:94] Model initialization: 3.65 ms
INFO: [benchmark_litert_model.h:96] Warmup (first): 5.11 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg): 4.70 ms (9 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg): 4.61 ms (217 runs)
INFO: [benchmark_litert_model.h:102] Inference (min): 4.59 ms
INFO: [benchmark_litert_model.h:104] Inference (max): 4.81 ms
INFO: [benchmark_litert_model.h:106] Inference (std): 0.02
'''
_PROFILE = '''\
============================== Run Order ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t Convolution (NHWC, QC8) DWConv\t    0.428\t    0.051\t  4.317%\t  8.304%\t   0.000\t       13\tDelegate/Convolution (NHWC, QC8) DWConv:1
\t                 SOFTMAX\t    0.001\t    0.001\t  0.100%\t100.000%\t     0.000\t        1\t[Identity]:65

============================== Top by Computation Time ==============================
\t             [node type]\t  [first]\t [avg ms]\t     [%]\t  [cdf%]\t  [mem KB]\t[times called]\t[Name]
\t Convolution (NHWC, QC8) DWConv\t    0.428\t    0.051\t  4.317%\t  8.304%\t   0.000\t       13\tDelegate/Convolution (NHWC, QC8) DWConv:1

Number of nodes executed: 2
============================== Summary by node type ==============================
\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]
\t Convolution (NHWC, QC8) DWConv\t        1\t     0.661\t    99.900%\t    99.900%\t     0.000\t       13

Timings (microseconds): count=50 first=61112 curr=55111 min=54212 max=61112 avg=55432.1 std=812
Memory (bytes): count=0
2 nodes observed

'''
PROFILED = (LITERT_2025 + 'INFO: Profiling Info for Benchmark Initialization:\n' + _PROFILE
            + 'INFO: Operator-wise Profiling Info for Regular Benchmark Runs:\n' + _PROFILE)

XNNPACK_COMPLETE = '''\
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 58 out of 58 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 1 partitions for subgraph 0.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.
'''
XNNPACK_PARTIAL = '''\
INFO: XNNPACK delegate created.
INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the delegate w/ 22 delegate kernels.
'''
XNNPACK_2_3 = 'Applied XNNPACK delegate, and the model graph will be completely executed w/ the delegate.\n'
XNNPACK_REFUSED = '''\
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.
'''
XNNPACK_BY_DEFAULT = 'INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n'
UNCONSUMED = 'WARN: Unconsumed cmdline flags: --use_xnnpack=false\n'
FAILED = '''\
INFO: STARTING!
INFO: Loaded model m.tflite
ERROR: tensorflow/lite/kernels/batch_matmul.cc:353 NumDimensions(lhs) >= 2 was not true.
ERROR: Node number 57 (BATCH_MATMUL) failed to prepare.
ERROR: Failed to allocate tensors!
ERROR: Benchmarking failed.
'''
