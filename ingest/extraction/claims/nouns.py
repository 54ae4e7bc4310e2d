"""What is measured: noun phrases, the metric that each stands for, and whether more of it is good.

To add a noun, add it to the row of its metric. `cost`: less is better. `gain`: more is better. `change`: the noun
itself says that something improved ("speedup"). `refuse`: a number about it is no efficiency claim (accuracy,
scores, sparsity levels).
"""

from __future__ import annotations

from typing import NamedTuple

from ..vocabulary import PhraseTable


class Noun(NamedTuple):
    """`metric` is empty for refused nouns; `phase` where the noun itself names one."""

    metric: str
    polarity: str
    phase: str = ""


def _row(noun: Noun, phrases: str) -> list[tuple[str, Noun]]:
    return [(phrase.strip(), noun) for phrase in phrases.split(",")]


_LATENCY = """
    latency, inference times, execution times, run times, response times, decoding times, processing times, running times, inference time, runtime, run time, running time, execution time, response time, delay, time to
    first token, ttft, tpot, decoding time, generation time, processing time, computation time, computing time,
    compute time, rendering time, sampling time, prediction time, test time cost, wall clock time, wall time,
    wallclock time, elapsed time, completion time, time, times per step, end to end time, evaluation time,
    simulation time, prefill time, job completion time, time cost, time complexity, time overhead"""
_SPEED = """
    speed, inference speed, decoding speed, generation speed, sampling speed, runtime speed, processing speed,
    rendering speed, execution speed, running speed, simulation speed, runtime performance, runtime efficiency,
    speed efficiency, inference efficiency, computational speed, kernel performance, inference performance"""
_SPEEDUP = """
    speedup, speed up, speedups, acceleration, accelerations, acceleration ratio, speedup ratio, speedup factor,
    inference speedup, wall clock speedup, acceleration rate, acceleration factor, performance speedup"""
_TRAINING_TIME = """training time, training latency, pretraining time, pre training time, convergence time, training duration,
    training iteration, training step, training epoch, iteration, training hour, fine tuning time, finetuning time, time to accuracy,
    time per iteration, iteration time, gpu hour, gpu day, tpu hour, tpu day, training runtime, tuning time, epoch"""
_TRAINING_SPEED = """training speed, training speedup, convergence speed, converging speed, convergence, training efficiency,
    training throughput improvement, training acceleration, pretraining speed, pre training speed, pre training efficiency,
    pretraining efficiency, convergence rate, fine tuning speed, learning speed, training convergence"""
_THROUGHPUT = """
    throughput, inference throughput, training throughput, serving throughput, decoding throughput, frame rate,
    request rate, token per second, sample per second, image per second, goodput, generation throughput, system
    throughput, fps, frame per second, qps, token per gpu second, token generation rate, serving capacity, request"""
_MEMORY = """
    memory, memory footprint, memory usage, memory consumption, memory cost, memory requirement, memory
    overhead, gpu memory, gpu memory usage, vram, ram, kv cache, kv cache size, kv cache memory, cache size,
    peak memory, memory use, kv, activation memory, optimizer state, memory complexity, memory demand, cache,
    key value cache, sram, dram, gpu ram, memory access, memory access cost, memory budget,
    memory size, memory efficiency, cache memory, kv cache usage"""
_PARAMS = """
    parameter, param, trainable parameter, tunable parameter, learnable parameter, model parameter, parameter
    count, parameter size, activated parameter, active parameter, number of parameter, weight, trainable weight,
    parameter number, parameter budget, training parameter, tuned parameter, parameter efficiency, parameter
    overhead, parameter storage, model complexity"""
_SIZE = """
    model size, size, model footprint, network size, size of the model, model storage, footprint, checkpoint
    size, embedding size, binary size, model memory, code size"""
_STORAGE = """
    storage, storage cost, storage space, disk space, disk, storage requirement, index size, storage overhead,
    storage footprint, storage consumption"""
_FLOPS = """
    computational, flop, mac, mult add, multiply add, madd, multi add, computation, computational cost, computation cost,
    compute, computational complexity, computation complexity, computational load, computational overhead,
    complexity, operation, gflop, gmac, compute cost, computing cost, compute requirement, multiplication,
    arithmetic operation, floating point operation, computational burden, computational requirement,
    computational resource, compute budget, computing resource, inference compute, computational demand,
    computation overhead, computational effort, compute resource, inference flop, computational budget, multiply
    accumulate, multiply accumulate operation, bit operation, bop, inference computation, inference
    computational cost, attention computation, training flop"""
_ENERGY = """
    energy, energy consumption, power, power consumption, energy cost, energy usage, carbon, carbon emission,
    energy use, carbon footprint, co2 emission, co2, electricity, energy delay product"""
_COMMUNICATION = """
    communication, communication cost, communication round, communication volume, communication overhead,
    communication time, network traffic, traffic, communication bandwidth, upload, data transfer, transmission,
    data movement, communication latency, communicated bit, communication complexity, synchronization"""
_DATA = """
    data, training data, labeled data, label, training sample, training example, sample, example, annotation,
    dataset size, labelled data, unlabeled data, demonstration, training image, fine tuning data, pre training
    data, data sample, image text pair, supervision, training token, labeled example, labeled sample,
    interaction, environment step, environment interaction, training set, dataset, human annotation, annotated
    data, instruction data, paired data, sample complexity, image, pair"""
_COST = """
    cost, inference cost, nfe, function evaluation, number of function evaluation, sampling step, denoising
    step, step, visual token, token, image token, vision token, token count, sequence length, number of token,
    inference step, forward pass, decoding step, serving cost, api cost, generation step, network evaluation,
    prompt length, layer, attention head, token usage, token consumption, token budget, inference budget,
    codebook, monetary cost, neuron, area, chip area, overhead, resource, resource usage, resource consumption,
    output token, reasoning token, prompt token, input token, price, expense"""
_EFFICIENCY = """
    efficiency, computational efficiency, sample efficiency, data efficiency, compute efficiency, utilization,
    gpu utilization, resource utilization, hardware utilization, hardware efficiency, decoding efficiency, cost
    efficiency"""
_REFUSE = """
    accuracy, top 1 accuracy, top 1, top 5, map, ap, box ap, mask ap, perplexity, ppl, bleu, fid, wer, score,
    f1, f1 score, psnr, ssim, error, error rate, recall, precision, dice, iou, miou, auc, performance, quality,
    point, win rate, reward, rouge, cider, lpips, loss, correlation, success rate, pass rate, exact match,
    spearman, mean average precision, sensitivity, robustness, sparsity, sparsity ratio, sparsity level, pruning
    ratio, pruning rate, masking ratio, mask ratio, dropout, confidence, average precision, agreement, hit rate,
    ndcg, mrr, generalization, coverage, probability, consistency, bit rate, human performance, task
    performance, model performance, rmse, mae, mse, fvd, clip score, mos, cer, eer, fidelity, resolution, mou,
    mean iou, auroc, kappa, variance, gap, diversity, volume, market, user, conversion, click, revenue, ctr,
    retention, population, participant, respondent, question, false positive, pass 1, acc, dsc, spider,
    improvement in accuracy, pq, r2, acceptance, faithfulness, hallucination, toxicity, bias, bug, win,
    preference, compression loss, task, context length, context window, longer, language, input length, longer
    sequence, longer context, length"""

_ROWS: list[tuple[str, Noun]] = [
    *_row(Noun("latency", "cost"), _LATENCY),
    *_row(Noun("speedup", "gain"), _SPEED),
    *_row(Noun("speedup", "change"), _SPEEDUP),
    *_row(Noun("training_time", "cost", "training"), _TRAINING_TIME),
    *_row(Noun("training_time", "cost", "search"), "search time, searching time"),
    *_row(Noun("training_time", "gain", "training"), _TRAINING_SPEED),
    *_row(Noun("throughput", "gain"), _THROUGHPUT),
    *_row(Noun("memory", "cost"), _MEMORY),
    *_row(Noun("params", "cost"), _PARAMS),
    *_row(Noun("model_size", "cost"), _SIZE),
    *_row(Noun("storage", "cost"), _STORAGE),
    *_row(Noun("flops", "cost"), _FLOPS),
    *_row(Noun("energy", "cost"), _ENERGY),
    *_row(Noun("energy", "gain"), "energy efficiency, power efficiency, energy efficient"),
    *_row(Noun("communication", "cost"), _COMMUNICATION),
    *_row(Noun("communication", "gain"), "communication efficiency, communication compression"),
    *_row(Noun("data_samples", "cost"), _DATA),
    *_row(Noun("training_cost", "cost", "training"), "training cost, cost of training, training budget, training compute, "
          "pre training cost, pretraining cost, training computation, training resource, training expense"),
    *_row(Noun("training_cost", "cost", "search"), "search cost, search budget, searching cost"),
    *_row(Noun("compression", "gain"), "compression, compression ratio, compression rate, compression factor, model compression"),
    *_row(Noun("bandwidth", "cost"), "bandwidth, memory bandwidth, bandwidth usage, bandwidth consumption, memory traffic"),
    *_row(Noun("other_efficiency", "cost"), _COST),
    *_row(Noun("other_efficiency", "gain"), _EFFICIENCY),
    *_row(Noun("", "refuse"), _REFUSE),
    *_row(Noun("", "ignore"), "for example, in order, state of the art, in terms, based model, time series, real time, step by step, "
          "at the same time, for the first time, first time, data parallel, data driven, large scale data, power law, at scale, "
          "memory bank, image classification, image generation, label space, in practice, test time, layer wise, pair of"),
]  # fmt: skip
NOUNS: PhraseTable[Noun] = PhraseTable(_ROWS)

FASTER = Noun("speedup", "change")
"""What "faster" and "accelerate" measure where no noun says more."""
