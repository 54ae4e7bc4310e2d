"""What is measured: noun phrases, the metric that each stands for, and whether more of it is good.

To add a noun, add it to the row of its metric. `cost`: less is better. `gain`: more is better. `change`: the noun
itself says that something improved ("speedup"). `refuse`: a number about it is no efficiency claim (accuracy,
scores, sparsity levels).
"""

from __future__ import annotations

from typing import NamedTuple

from ..vocabulary import PhraseTable
from .noun_products import products


class Noun(NamedTuple):
    """`metric` is empty for refused nouns; `phase` where the noun itself names one; `vague` compute is not counted in FLOPs.

    `kind` is "steps", "tokens" or "price" for what is called by another metric in training, "job" for what is not, "count" for the number of something.
    """

    metric: str
    polarity: str
    phase: str = ""
    vague: bool = False
    kind: str = ""


def _row(noun: Noun, phrases: str) -> list[tuple[str, Noun]]:
    listed = [phrase.strip() for phrase in phrases.split(",")]
    # "times" keeps its "s" everywhere else, as it is a word of factors.
    return [(phrase, noun) for phrase in listed + [p + "s" for p in listed if p.endswith(" time")]]


_LATENCY = """cold start, cold start time, cold start latency, startup time, start up time, startup latency, loading time, model loading time,
    latency, inference times, execution times, run times, response times, decoding times, processing times, running times,
    inference time, runtime, run time, running time, execution time, response time, delay, time to first token, ttft, tpot,
    decoding time, generation time, processing time, computation time, computing time, compute time, rendering time,
    sampling time, prediction time, test time cost, wall clock time, wall time, wallclock time, elapsed time, completion time,
    time, times per step, end to end time, evaluation time, simulation time, prefill time, job completion time, time cost,
    time complexity, time overhead, e2e latency, tail latency, slo, slos, latency slo, p99 latency, p95 latency, tbt, itl,
    time per output token, inter token latency, time between token, turnaround time, compilation time, startup time,
    cold start time, loading time, load time, query time, search latency, retrieval time, retrieval latency, lookup time,
    makespan, inference delay, computational time, solver time, reconstruction time, clock time, clock cycle, cycle count,
    forward time, per step time, wait time, queueing delay, idle time, proving time, optimization time per scene,
    planning time, solving time, time consumption, computation delay, processing delay, real time factor, rtf, kernel time,
    attention time, denoising time, diffusion time, editing time, encoding time, tokenization time"""
_SPEED = """
    speed, inference speed, decoding speed, generation speed, sampling speed, runtime speed, processing speed, rendering speed,
    execution speed, running speed, simulation speed, runtime performance, runtime efficiency, speed efficiency,
    inference efficiency, computational speed, kernel performance, inference performance, inference speeds, speed of inference,
    prefill speed, prefilling speed, prefill performance, decoding performance, training time speed, wall clock speed, wall clock, walltime,
    generation efficiency, encoding speed, convolution speed, computation speed, computing speed, inference rate,
    execution performance, system performance, end to end performance, hardware performance, compute performance,
    processing performance, operation speed, sampling efficiency, speed performance, decode speed, search speed, query speed,
    matching speed"""
_SPEEDUP = """
    speedup, speed up, speedups, acceleration, accelerations, acceleration ratio, speedup ratio, speedup factor,
    inference speedup, wall clock speedup, acceleration rate, acceleration factor, performance speedup,
    walltime speedup, wall time speedup,
    kernel speedup, decoding speedup, generation speedup, latency improvement factor"""
_TRAINING_TIME = """training time, training latency, pretraining time, pre training time, convergence time, training duration,
    training iteration, training step, training epoch, iteration, training hour, fine tuning time, finetuning time, time to accuracy,
    time per iteration, iteration time, training runtime, tuning time, epoch, wall clock training time, training wall clock time, training wall time, wall time training cost, wall clock training cost, training iteration time,
    step time, training step time, gradient step, optimization step, training update, parameter update, gradient update, optimizer step,
    pre training iteration, training epochs, fine tuning step, training day, training wall clock, distillation time,
    quantization time, calibration time, pruning time, compression time, epoch time, time per epoch, optimization time, pre training step,
    training schedule, training delay, total training time, retraining time, backward time, backpropagation time, adaptation time"""
_TRAINING_SPEED = """training speed, training speedup, convergence speed, converging speed, convergence, training efficiency,
    training throughput improvement, training acceleration, pretraining speed, pre training speed, pre training efficiency,
    pretraining efficiency, convergence rate, fine tuning speed, learning speed, training convergence, learning efficiency, training rate, speed of convergence, speed of training, training performance, distillation speed, optimization speed,
    learning convergence, training speed up, pretraining speedup, pre training speedup, convergence speedup, quantization speed, training time speedup,
    compute efficiency of training, adaptation speed, optimization efficiency, training acceleration ratio, training wall clock speedup"""
_THROUGHPUT = """
    throughput, inference throughput, training throughput, serving throughput, decoding throughput, frame rate, request rate,
    token per second, sample per second, image per second, goodput, generation throughput, system throughput, fps,
    frame per second, qps, token per gpu second, token generation rate, serving capacity, request, inference throughputs,
    prefill throughput, decode throughput, throughputs, end to end throughput, request throughput, token throughput,
    query throughput, query per second, request per second, serving rate, output throughput, framerate, frame per seconds,
    processing rate, maximum throughput, peak throughput, token generation throughput, sample throughput, inference fps, rps,
    token rate, generation rate, decoding rate"""
_MEMORY = """
    memory, memory footprint, memory usage, memory consumption, memory cost, memory requirement, memory overhead, gpu memory,
    gpu memory usage, vram, ram, kv cache, kv cache size, kv cache memory, cache size, peak memory, memory use, kv,
    activation memory, optimizer state, optimiser state, optimiser memory, memory complexity, memory demand, cache, key value cache, sram, dram, gpu ram,
    memory budget, memory size, memory efficiency, cache memory, kv cache usage,
    memory space, memory capacity, memory resource, device memory, memory allocation, memory load, memory burden,
    memory operation, memory transfer, memory traffic cost,
    gpu memory consumption, gpu memory footprint, gpu memory cost, gpu memory requirement, gpu vram, peak gpu memory,
    peak memory usage, peak memory footprint, peak memory consumption, optimizer memory, gradient memory, training memory,
    training memory footprint, activation cache, kv cache footprint, kv cache storage, kv size, kv memory, cache footprint,
    cache requirement, inference memory, runtime memory, working memory, vram usage, vram consumption, ram usage,
    memory utilization, memory occupancy, memory occupation, video memory, graphics memory, buffer size, on chip memory,
    weight memory, model memory footprint, optimizer memory footprint, kv cache budget, kv cache consumption, memory read,
    memory movement, kv pair, kv entry"""
_PARAMS = """
    parameter, param, trainable parameter, tunable parameter, learnable parameter, model parameter, parameter count,
    parameter size, activated parameter, active parameter, number of parameter, weight, trainable weight, parameter number,
    parameter budget, training parameter, tuned parameter, parameter efficiency, parameter overhead, parameter storage,
    model complexity, parameter scale, model weight, network parameter, connection, number of connection, synapse, trained parameter, trainable param,
    number of trainable parameter, number of model parameter, parameter amount, adapter parameter, learned parameter,
    additional parameter, extra parameter, tunable weight, parameter cost, parameter usage, learnable weight, free parameter,
    backbone parameter, total parameter, params, expert parameter, activated weight, finetuned parameter, parameter redundancy,
    network weight, weight parameter, optimizable parameter, parameter requirement, activation parameter, number of weight"""
_SIZE = """
    model reduction, network reduction, model shrinkage, model size, size, model footprint, network size, size of the model, model storage, footprint, checkpoint size,
    embedding size, binary size, model memory, code size, model footprint size, size of model, weight size, file size,
    memory size of the model, model capacity, size of network, compressed size, encoder size, decoder size, network footprint,
    model volume, weight storage, adapter size, model checkpoint, smaller model, parameter memory, embedding table size"""
_STORAGE = """
    storage, flash memory, flash storage, flash usage, storage cost, storage space, disk space, disk, storage requirement, index size, storage overhead,
    storage footprint, storage consumption, index memory, storage usage, storage requirements, storage memory, storage size,
    disk usage, disk footprint, embedding storage, vector storage, storage demand, dataset storage, data storage,
    checkpoint storage, storage capacity, index storage, stored parameter, storage complexity, file storage, disk storage"""
_FLOPS = """
    flop, mac, mult add, multiply add, madd, multi add, operation, gflop, gmac, multiplication, arithmetic operation,
    floating point operation, inference flop, multiply accumulate, multiply accumulate operation, bit operation, bop,
    training flop, inference flops, number of flop, number of mac, number of operation, attention flop,
    number of multiplication, matmul, computational operation, model flop, gflops, tflops, mflop, tflop, multi adds, mult adds,
    multiply add operation, multiply accumulate computation, compute operation, m adds, inference cost in flop, flops count"""
_COMPUTE = """
    computational, computation, computational cost, computation cost, compute, computational complexity,
    computation complexity, computational load, computational overhead, complexity, compute cost, computing cost,
    compute requirement, computational burden, computational requirement, computational resource, compute budget,
    computing resource, inference compute, computational demand, computation overhead, computational effort, compute resource,
    computational budget, inference computation, inference computational cost, attention computation, compute load,
    computational expense, computational workload, computational power, computing power, total compute, amount of computation,
    amount of compute, attention cost, quadratic cost, theoretical computation, arithmetic cost, calculation cost,
    attention complexity, inference complexity, attention compute, computational footprint, computational consumption,
    compute overhead, redundant computation, computation load, computation amount, computation budget, computation time cost,
    self attention cost"""
_ENERGY = """
    energy, energy consumption, power, power consumption, energy cost, energy usage, carbon, carbon emission, energy use,
    carbon footprint, co2 emission, co2, electricity, energy delay product, power usage, power draw, power budget,
    energy requirement, energy overhead, energy per inference, energy footprint, energy expenditure, electricity consumption,
    carbon cost, greenhouse gas emission, co 2 emission, power cost, power dissipation, power demand, inference energy,
    training energy, gpu energy, battery, battery power, system energy, dynamic power, power overhead"""
_COMMUNICATION = """
    communication, round, byte sent, bit sent, bytes per round, bit per round, transmitted bit, transmitted byte, byte transferred, communication cost, communication round, communication volume, communication overhead, communication time,
    network traffic, traffic, communication bandwidth, upload, data transfer, transmission, data movement,
    communication latency, communicated bit, communication complexity, synchronization, communication traffic,
    communication load, communication volumes, communication data, communication bit, communication budget,
    communication frequency, communication step, communication round trip, network bandwidth, bandwidth cost, uplink,
    uplink communication, downlink, communication burden, communication requirement, transmitted data, transmission cost,
    transmission overhead, bits communicated, all to all communication, alltoall, all reduce, gradient communication,
    communicated parameter, gradient size, network communication, inter node communication, data transmission, federated round,
    communication payload, synchronization overhead, rounds of communication, number of communication round, network transfer,
    data communication, communication resource"""
_DATA = """
    data, training data, labeled data, label, training sample, training example, sample, example, annotation, dataset size,
    labelled data, unlabeled data, demonstration, training image, fine tuning data, pre training data, data sample,
    image text pair, supervision, training token, labeled example, labeled sample, interaction, environment step,
    environment interaction, training set, dataset, human annotation, annotated data, instruction data, paired data,
    sample complexity, image, pair, training corpus, training dataset, pre training token, amount of data, number of sample,
    number of training sample, training label, number of label, human label, human demonstration, expert demonstration,
    environment sample, data requirement, data usage, data volume, data cost, labeling effort, labelling effort, labeling cost, annotation cost,
    labelling cost, annotation effort, labeled image, labelled sample, labelled example, annotated sample, annotated image,
    training pair, fine tuning sample, calibration sample, finetuning data, tuning data, training instance, data point,
    datapoint, query budget, oracle call, number of query, alignment data, distillation data, supervised data,
    training set size, data budget, interaction data, clean data"""
_STEPS = """update, iteration, sampler step, solver step, nfe, function evaluation, number of function evaluation, sampling step, denoising step, step, inference step, forward pass,
    decoding step, generation step, time step, network evaluation, number of step, diffusion step, reverse step, sampling iteration, timestep, number of
    sampling step, number of function evaluations, neural function evaluation, model call, llm call, number of call, number of inference,
    network forward pass, decoding iteration, number of evaluation, sampling round, denoising iteration, number of iteration, iteration count, step count,
    number of denoising step, number of inference step, number of forward pass, number of training step, number of epoch, number of training iteration"""
_TOKENS = """token, token count, sequence length, number of token, token usage, token consumption, token budget, output token, reasoning token,
    prompt token, input token, text token, token cost, token length, reasoning length, response length, output length, generation length,
    thinking token, generated token, number of generated token, cot token, prompt length, number of training token, number of input token"""
_COST = """
    cost, inference cost, serving cost, api cost, layer, attention head, token usage, token consumption, token budget,
    inference budget, codebook, monetary cost, neuron, area, chip area, overhead, resource, resource usage,
    resource consumption, output token, reasoning token, prompt token, input token, price, expense, number of step,
    diffusion step, reverse step, sampling iteration, timestep, number of sampling step, text token, number of layer,
    number of head, operating cost, deployment cost, total cost, hardware cost, cloud cost, gpu cost, economic cost,
    infrastructure cost, number of function evaluations, neural function evaluation, model call, llm call, api call,
    number of call, number of inference, network forward pass, decoding iteration, verification cost, hardware area,
    silicon area, area overhead, dsp usage, lut usage, number of gpu, gpu usage, gpu count, accelerator count, cpu usage,
    cpu utilization, token cost, token length, reasoning length, response length, output length, generation length,
    chain of thought length, reasoning cost, thinking token, generated token, number of generated token, cot token,
    number of evaluation, evaluation cost, retrieval cost, batch size limit, expense cost, spending, dollar cost,
    sampling cost, generation cost, decoding cost, overheads, inference overhead, runtime overhead, sampling round,
    denoising iteration, denoising cost, design effort, engineering effort, code line, line of code, firing rate, spike rate,
    spike count, state size, domain size, sequence size, input size, window size, graph size, search space size,
    explored architecture, architecture evaluation, attention computation cost, number of expert, number of node, gaussian,
    number of gaussian, point cloud size, iteration cost, rollout cost, bit width, bitwidth, number of bit, bit per weight,
    codebook size"""
_EFFICIENCY = """
    efficiency, computational efficiency, compute efficiency, utilization, gpu utilization,
    resource utilization, hardware utilization, hardware efficiency, decoding efficiency, cost efficiency, mfu,
    model flops utilization, model flop utilization, flops utilization, flop utilization, processing efficiency,
    resource efficiency, search efficiency, execution efficiency, memory utilization efficiency, compute utilization,
    tensor core utilization, bandwidth utilization, memory bandwidth utilization, sm utilization, scaling efficiency,
    area efficiency, parameter utilization, token efficiency, exploration efficiency, hardware utilisation, system efficiency,
    energy delay, deployment efficiency, gpu efficiency, batch size, effective batch size,
    concurrent user, concurrent request, concurrent session, number of concurrent user, number of concurrent request, sequence length supported, trainable sequence length,
    slo attainment, service level objective attainment, attainment, slo compliance, compute density, throughput density, acceptance rate, acceptance length, accepted token, accepted length, cache hit rate, hit ratio, mean accepted token,
    parallelism, concurrency, scalability, gpu occupancy, occupancy, resource efficiency, training sample efficiency, sparsity speedup, cost saving,
    maximum batch size, serving efficiency, compression efficiency, cost effectiveness, cost performance"""
_REFUSE = """
    violation, artifact, alarm, false alarm, crash, crashes, intervention, complaint, death, typo, refusal, outlier, conflict, duplicate, toxic output,
    ambiguity, inconsistency, repetition, warning, incident, defect, fault, missing object, false negative, vulnerability,    accuracy, top 1 accuracy, top 1, top 5, map, ap, box ap, mask ap, perplexity, ppl, bleu, fid, wer, score, f1, f1 score,
    psnr, ssim, error, error rate, recall, precision, dice, iou, miou, auc, performance, quality, point, win rate, reward,
    rouge, cider, lpips, loss, correlation, success rate, pass rate, exact match, spearman, mean average precision,
    sensitivity, robustness, sparsity, sparsity ratio, sparsity level, pruning ratio, pruning rate, masking ratio, mask ratio,
    dropout, confidence, average precision, agreement, hit rate, ndcg, mrr, generalization, coverage, probability, consistency,
    bit rate, human performance, task performance, model performance, rmse, mae, mse, fvd, clip score, mos, cer, eer, fidelity,
    resolution, mou, mean iou, auroc, kappa, variance, gap, diversity, volume, market, user, conversion, click, revenue, ctr,
    retention, population, participant, respondent, question, false positive, pass 1, acc, dsc, spider, pq, r2, acceptance, faithfulness, hallucination, toxicity, bias, bug, win, preference, task, context length, context window, longer, language, input length, longer sequence, longer context,
    length, top 10, map50, mean ap, f score, f measure, f 1, em, exact match score, auprc, aupr, mape, nmse, snr, sdr, si sdr,
    pesq, stoi, mpjpe, collision, failure, mistake, hallucination rate, win rates, elo, human evaluation, mrr 10, bleu point, word error rate, character error rate, equal error rate, misclassification, regret,
    cumulative reward, sharpe, sale, gmv, cvr, watch time, dwell time, ctcvr, perplexity gap, attack success rate, jailbreak,
    vulnerability, ece, nll, log likelihood, elbo, distortion, bitrate, bd rate, diversity score, vbench,
    mmlu, gsm8k, humaneval, pass k, benchmark score, r squared, rank correlation, context size, vocabulary size,
    mean squared error, mean absolute error, absolute error, relative error, test error, validation loss, training loss,
    test loss, generalization error,
    robust accuracy, top1, top5, learning rate, dropout rate, weight decay, token dropping rate"""

COUNT = Noun("other_efficiency", "cost", kind="count")
"""The number of a thing that no row knows."""
_ROWS: list[tuple[str, Noun]] = [
    *_row(Noun("latency", "cost", kind="job"), "job completion time, average job completion time, makespan, queueing delay, jct"),
    *_row(Noun("latency", "cost"), _LATENCY),
    *_row(Noun("speedup", "gain"), _SPEED),
    *_row(Noun("speedup", "change"), _SPEEDUP),
    *_row(Noun("training_time", "cost", "training"), _TRAINING_TIME),
    *_row(Noun("training_time", "cost", "search"), "search time, searching time"),
    *_row(Noun("training_time", "gain", "training"), _TRAINING_SPEED),
    *_row(Noun("throughput", "gain"), _THROUGHPUT),
    *_row(Noun("data_samples", "gain"), "sample efficiency, data efficiency, label efficiency, annotation efficiency, training sample efficiency"),
    *_row(Noun("throughput", "gain"), "tflops per gpu, tflop per gpu, tflops per second, flops per second, flop per second, gflops per second, tflop per second, operation per "
          "second, ops, gops, tflop s, tflops s, gflop s, flops per gpu, achieved tflops, sequence per second, word per second, step per second, image per sec"),
    *_row(Noun("memory", "cost"), _MEMORY),
    *_row(Noun("params", "cost"), _PARAMS),
    *_row(Noun("model_size", "cost"), _SIZE),
    *_row(Noun("storage", "cost"), _STORAGE),
    *_row(Noun("flops", "cost"), _FLOPS),
    *_row(Noun("flops", "cost", "", True), _COMPUTE),
    *_row(Noun("energy", "cost"), _ENERGY),
    *_row(Noun("energy", "gain"), "energy efficiency, power efficiency, energy efficient, performance per watt, throughput per watt, "
          "battery life, performance per joule, operation per watt, token per joule, throughput per joule"),
    *_row(Noun("communication", "cost"), _COMMUNICATION),
    *_row(Noun("communication", "gain"), "communication efficiency, communication compression"),
    *_row(Noun("data_samples", "cost"), _DATA),
    *_row(Noun("training_cost", "cost", "training"), "training cost, cost of training, training budget, training compute, "
          "pre training cost, pretraining cost, training computation, training resource, training expense, gpu hour, gpu day, tpu hour, tpu day, "
          "a100 hour, h100 hour, gpu time, device hour, core hour, node hour, training flop cost, fine tuning cost, finetuning cost, "
          "training energy cost, training gpu hour"),
    *_row(Noun("training_cost", "cost", "search"), "search cost, search budget, searching cost"),
    *_row(Noun("compression", "gain"), "compression, compression ratio, compression rate, compression factor, model compression"),
    *_row(Noun("compression", "cost"), "visual token, image token, vision token, number of visual token, number of image token, visual token count, "
          "token per image, number of token per image, patch token, video token, visual token length, latent token, vision patch, number of vision token"),
    *_row(Noun("bandwidth", "cost"), "memory access, memory access cost, hbm access, dram access, off chip access, dram traffic, off chip memory access, external memory access, on chip memory access, bandwidth, memory bandwidth, bandwidth usage, bandwidth consumption, memory traffic"),
    *_row(Noun("other_efficiency", "cost", kind="steps"), _STEPS),
    *_row(Noun("other_efficiency", "cost", kind="tokens"), _TOKENS),
    *_row(Noun("other_efficiency", "cost", kind="price"), "cost, monetary cost, price, expense, total cost, cloud cost, economic cost, "
          "infrastructure cost, dollar cost, spending, financial cost, compute expense, serving cost, api cost, operating cost, deployment cost, hardware cost, gpu cost"),
    *_row(Noun("other_efficiency", "cost"), _COST),
    *_row(Noun("other_efficiency", "gain"), _EFFICIENCY),
    *_row(Noun("other_efficiency", "gain"), "batch size, effective batch size, maximum batch size, minibatch size, mini batch size, micro batch, micro batch size, microbatch"),
    *_row(Noun("other_efficiency", "cost"), "slo violation, slo violation rate, deadline miss, deadline violation, out of memory error, service level objective violation"),
    *_row(Noun("other_efficiency", "cost"), "consumption, usage, requirement, demand, burden, expenditure, workload, budget, waste, redundancy, spending"),
    *_row(COUNT, "number of, amount of, total number of, count of"),
    *_row(Noun("", "refuse"), _REFUSE),
    *(entry for metric, polarity, phase, kind, phrases in products()
      for entry in _row(Noun(metric, polarity, phase, kind == "vague", kind.removeprefix("vague")), phrases)),
    *_row(Noun("", "ignore"), "for example, in order, state of the art, in terms, based model, time series, real time, step by step, "
          "at the same time, for the first time, first time, data parallel, data driven, large scale data, power law, at scale, "
          "memory bank, image classification, image generation, label space, in practice, test time, layer wise, pair of"),
]  # fmt: skip
NOUNS: PhraseTable[Noun] = PhraseTable(_ROWS)

FASTER = Noun("speedup", "change")
"""What "faster" and "accelerate" measure where no noun says more."""
