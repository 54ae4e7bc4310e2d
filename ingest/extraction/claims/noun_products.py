"""Nouns in two parts: what is measured is told by the last word, whose it is by the words in front ("peak activation" and
"memory consumption"). Every front is joined with every head, so that a compound need not have been seen before."""

from __future__ import annotations

from collections.abc import Iterator


def _list(text: str) -> list[str]:
    return [phrase.strip() for phrase in text.split(",")]


def _join(fronts: list[str], heads: list[str]) -> str:
    return ", ".join(f"{front} {head}" for front in fronts for head in heads)


_TRAIN = _list(
    "training, pre training, pretraining, retraining, model training, total training, overall training, end to end training, optimization"
)
_TUNE = _list("fine tuning, finetuning, tuning, adaptation, full fine tuning, post training")
_SEARCH = _list(
    "search, searching, architecture search, nas, neural architecture search, hyperparameter search, hyperparameter tuning"
)
_RUN = _list(
    "inference, decoding, generation, sampling, prefill, prefilling, serving, runtime, run time, end to end, e2e, response, request, query, "
    "retrieval, lookup, search, rendering, execution, processing, simulation, encoding, decode, forward, forward pass, kernel, attention, "
    "per token, token, first token, token generation, image generation, video generation, text generation, per request, per query, per step, "
    "per image, per frame, per sample, frame, network, model, computation, compute, gpu, cpu, system, service, application, job, task completion, "
    "wall clock, wallclock, walltime, average, mean, median, p50, p90, p95, p99, p99 tail, tail, total, overall, online, offline, on device, edge, "
    "mobile, test, prediction, synthesis, denoising, diffusion, editing, reconstruction, planning, control, matching, ranking, indexing, "
    "index construction, construction, build, indexing and query, loading, startup, cold start, compilation, reasoning, thinking, verification, "
    "proving, layer, convolution, matmul, gemm, operator, layer wise, data loading, preprocessing, transfer, memory access, scheduling, "
    "queuing, waiting, transcription, translation, speech, perception, detection, recognition, classification, segmentation, tracking, "
    "hardware, batch, steady state, backend, pipeline, interaction, llm inference, model inference, deployment, evaluation, verification"
)
_MEMORY = _list(
    "memory, gpu memory, cpu memory, host memory, device memory, peak memory, peak gpu memory, activation memory, training memory, inference "
    "memory, runtime memory, optimizer memory, optimizer state memory, gradient memory, weight memory, model memory, kv cache memory, kv "
    "cache, cache, kv, key value cache, vram, gpu vram, peak vram, ram, peak ram, sram, dram, hbm, on chip memory, off chip memory, buffer, system "
    "memory, total memory, working memory, dynamic memory, static memory, attention memory, fine tuning memory, activation, peak activation, peak "
    "activation memory, memory footprint, static gpu memory, per gpu memory, per device memory, overall memory, optimizer state, cuda memory"
)
_HEADS = _list(
    "usage, use, footprint, consumption, cost, requirement, overhead, demand, budget, utilization, occupancy, need, pressure, size, space, "
    "expense, burden, load, peak, allocation, complexity, resource, peak usage, storage, reservation"
)
_POWER = _list(
    "energy, power, electricity, electrical energy, carbon, co2, inference energy, training energy, system energy, total energy, gpu energy, "
    "gpu power, dynamic energy, dynamic power, static power, computational energy, memory energy, on device energy, average power, total power, "
    "greenhouse gas, ghg, battery, dram energy, compute energy, energy and carbon, water"
)
_POWER_HEADS = _list(
    "consumption, usage, use, cost, draw, requirement, footprint, overhead, budget, demand, expenditure, emission, dissipation, need, expense, bill, drain, impact"
)
_STORE = _list(
    "storage, disk, index, vector index, checkpoint, embedding, embedding table, database, flash, vector, descriptor, feature, dataset, cache storage, ssd, "
    "adapter storage, weight storage, data storage, on disk, document, document embedding, token embedding, file"
)
_STORE_HEADS = _list(
    "size, space, usage, cost, footprint, overhead, requirement, consumption, storage, demand, storage cost, storage requirement, memory, memory footprint, storage space, storage footprint, need, budget"
)
_TALK = _list(
    "communication, network, transmission, bandwidth, uplink, downlink, upload, synchronization, data transfer, all to all, all reduce, allreduce, "
    "inter gpu, inter node, cross node, internode, gradient, gradient synchronization, gradient communication, client, server, client server, "
    "federated, network communication, transmitted, collective, collective communication, wan, exposed communication, total communication, "
    "uplink communication, message, cross device, parameter exchange, weight transfer, information exchange"
)
_TALK_HEADS = _list(
    "communication, cost, volume, overhead, round, time, latency, byte, bit, load, budget, traffic, payload, delay, transfer, requirement, burden, "
    "frequency, demand, communication cost, communication overhead, communication volume, communication time, traffic volume, message, resource"
)
_WHOSE = _list(
    "model, trainable, tunable, learnable, active, activated, additional, extra, total, network, backbone, encoder, decoder, adapter, learned, "
    "tuned, updated, new, free, expert, embedding, attention, task specific, task, client, non zero, nonzero, effective, transformer, policy, neural, "
    "added, introduced, fine tuned, inference, training, dense, redundant, stored, shared, stored model, optimizable, optimized, trained, lora"
)
_ARITHMETIC = _list(
    "computational, computation, compute, computing, arithmetic, calculation, inference compute, inference computation, attention "
    "computation, inference computational, attention compute, test time compute, total compute, total computational, theoretical, "
    "theoretical computational, overall computational, overall compute, overall computation, model computation, prefill compute, prefill "
    "computation, prefilling computation, decoding compute, computation and, processing"
)
_ARITHMETIC_HEADS = _list(
    "cost, complexity, load, overhead, burden, budget, demand, requirement, resource, effort, workload, expense, expenditure, amount, need, usage, "
    "consumption, footprint, operation"
)
_SUMS = _list(
    "inference, total, attention, model, theoretical, average, prefill, prefilling, decoding, overall, per token, network, self attention, backbone, decoder, encoder, visual, llm, forward, convolution, mlp, ffn, sampling"
)
_COUNTED_SUMS = _list(
    "flop, mac, gflop, tflop, gmac, mflop, operation, multiplication, madd, computation, multiply add, multiply accumulate, multiply accumulate operation, bop, arithmetic operation, floating point operation"
)
_OF_DATA = _list(
    "training, labeled, labelled, annotated, unlabeled, unlabelled, fine tuning, finetuning, pre training, pretraining, supervised, calibration, "
    "instruction, instruction tuning, preference, paired, expert, human, synthetic training, target, source, distillation, manually labeled, real, "
    "real world, in domain, task specific, annotation, demonstration, training set, alignment, environment, original training, training image, "
    "supervision, labeled training, labelled training, agent, interaction, parallel, tuning, seed, raw, offline, online, expert demonstration"
)
_DATA = _list(
    "data, sample, example, image, instance, pair, token, label, annotation, demonstration, trajectory, set, corpus, dataset, data point, datapoint, video, text, document, interaction, episode, image text pair, pixel, frame, utterance, prompt, rollout, hour, step, data volume, data size, data budget, point"
)
_LABOUR = _list(
    "annotation, labeling, labelling, label, data, sample, human annotation, data annotation, manual annotation, supervision, data collection, interaction, demonstration"
)
_LABOUR_HEADS = _list(
    "cost, effort, budget, requirement, complexity, usage, need, burden, time, volume, demand, consumption, overhead"
)
_EVALUATED = _list(
    "sampling, denoising, diffusion, inference, generation, decoding, reverse, refinement, solver, function, network, model, forward, llm, api, "
    "search, verification, oracle, iterative, autoregressive, reasoning, backward, neural function, integration, ode, ddim, target model, "
    "draft, teacher, verifier, transformer, tool, large model, rollout, retrieval, target"
)
_EVALUATIONS = _list(
    "step, evaluation, iteration, call, pass, round, query, timestep, time step, function evaluation, forward pass, invocation, forward call"
)
_LEARNING = _list(
    "training, optimization, gradient, update, pre training, pretraining, fine tuning, finetuning, optimizer, sgd, learning, convergence, weight update, policy update"
)
_LEARNING_STEPS = _list("step, iteration, epoch, update, round, episode, gradient step, pass")
_SPENT = _list(
    "token, output token, reasoning token, inference token, completion token, prompt token, input token, response token, generated token, thinking "
    "token, context, prompt, sequence, chain of thought, cot, output, response, reasoning, generation, reasoning trace, reasoning chain, reasoning path, "
    "thinking, trace, answer"
)
_SPENT_HEADS = _list(
    "usage, consumption, cost, count, budget, number, length, overhead, expenditure, token, volume, token usage, token consumption, token count, token length, use, utilization, token cost, token number"
)
_THINGS = _list(
    "inference, serving, api, deployment, operational, operating, monetary, financial, hardware, infrastructure, cloud, rental, economic, total, "
    "generation, decoding, sampling, verification, evaluation, retrieval, query, maintenance, llm, llm inference, model serving, per token, "
    "per query, gpu, resource, area, silicon area, chip area, cpu, routing, scheduling, attention, index construction, development, "
    "engineering, lut, dsp, bram, logic, register, fpga resource, hardware resource, gpu resource, cpu resource, system resource, "
    "adc, processing, rollout, collection, test time, drafting, switching, prefill, runtime, preprocessing, dequantization, software, fabrication"
)
_THING_HEADS = _list(
    "cost, overhead, budget, expense, price, usage, consumption, requirement, utilization, expenditure, area, resource, burden, effort, demand, footprint, complexity, fee, bill, spending, need, load"
)


_PRICES = _list("cost, budget, expense, price, expenditure, fee, bill, spending")


def _also(words: list[str], ends: str) -> str:
    return _join(words, _list(ends))


_TIMES = "time, times, latency, delay, duration, wall clock time, wall clock, period, runtime, wall time, walltime, clock time, elapsed time, hour, day"
_SPENDING = (
    "cost, overhead, budget, expense, compute, computation, computational cost, computation cost, compute cost, computational overhead, computational "
    "budget, complexity, resource, effort, burden, requirement, expenditure, gpu hour, gpu time, workload, computational resource, compute budget, "
    "computational complexity, computational requirement, computational expense, computing cost, computational burden, compute resource, compute "
    "requirement, hardware, gpu day, resource requirement, resource consumption, gpu cost, hardware requirement, spending, compute usage"
)
_SPEEDS = (
    "speed, efficiency, speedup, speed up, acceleration, convergence, throughput improvement, rate, speeds, progress"
)
_MOVES = _list(
    "memory, dram, hbm, off chip, weight, data, external memory, main memory, global memory, i o, io, pcie, interconnect, off chip memory, weight loading, kv cache, ddr, ssd, gpu memory, cpu gpu, flash, disk"
)
_MOVED = _list(
    "traffic, bandwidth, access, movement, transfer, bandwidth usage, bandwidth requirement, bandwidth demand, transaction, read, write, load, fetch, communication, bandwidth consumption, volume, operation, bandwidth cost, access cost"
)


def products() -> Iterator[tuple[str, str, str, str, str]]:
    """(metric, polarity, phase, kind, phrases); of two rows with one phrase the first counts."""
    yield "training_time", "cost", "training", "", _also(_TRAIN, _TIMES)
    yield "training_time", "cost", "fine-tuning", "", _also(_TUNE, _TIMES)
    yield "training_time", "cost", "search", "", _also(_SEARCH, "time, times, duration, hour")
    yield "training_cost", "cost", "training", "", _also(_TRAIN, _SPENDING)
    yield "training_cost", "cost", "fine-tuning", "", _also(_TUNE, _SPENDING)
    yield "training_cost", "cost", "search", "", _also(_SEARCH, _SPENDING)
    yield "training_time", "gain", "training", "", _also(_TRAIN, _SPEEDS)
    yield "training_time", "gain", "fine-tuning", "", _also(_TUNE, _SPEEDS)
    yield "training_time", "cost", "training", "", _join(_LEARNING, _LEARNING_STEPS)
    yield "throughput", "gain", "training", "", _also(_TRAIN, "throughput, throughputs")
    yield (
        "latency",
        "cost",
        "",
        "",
        _also(_RUN, "latency, time, times, delay, runtime, duration, run time, wall clock time, lag"),
    )
    yield "throughput", "gain", "", "", _also(_RUN, "throughput, throughputs, fps, per second, frame rate, qps")
    yield "speedup", "gain", "", "", _also(_RUN, "speed, speeds, rate of execution")
    yield (
        "speedup",
        "change",
        "",
        "",
        _also(_RUN, "speedup, speed up, acceleration, speedup ratio, acceleration ratio, accelerations"),
    )
    yield "memory", "cost", "", "", _join(_MEMORY, _HEADS)
    yield "energy", "cost", "", "", _join(_POWER, _POWER_HEADS)
    yield "storage", "cost", "", "", _join(_STORE, _STORE_HEADS)
    yield "communication", "cost", "", "", _join(_TALK, _TALK_HEADS)
    yield (
        "params",
        "cost",
        "",
        "",
        _also(
            _WHOSE,
            "parameter, param, weight, parameter count, parameter size, parameter number, parameter budget, parameter overhead, parameter usage",
        ),
    )
    yield (
        "model_size",
        "cost",
        "",
        "",
        _also(
            _list(
                "model, network, checkpoint, binary, code, weight, layer, layers, kernel, parameter, ensemble, tree, forest, total model, overall model, memory model, lora, adapter, transformer, compressed model"
            ),
            "size, footprint, storage, memory footprint size, volume",
        ),
    )
    yield "flops", "cost", "", "vague", _join(_ARITHMETIC, _ARITHMETIC_HEADS)
    yield "flops", "cost", "training", "", _also(_TRAIN, "flop, mac, gflop, floating point operation")
    yield "flops", "cost", "", "", _join(_SUMS, _COUNTED_SUMS)
    yield "data_samples", "cost", "", "", _join(_OF_DATA, _DATA)
    yield "data_samples", "cost", "", "", _join(_LABOUR, _LABOUR_HEADS)
    yield "other_efficiency", "cost", "", "tokens", _join(_SPENT, _SPENT_HEADS)
    yield "other_efficiency", "cost", "", "steps", _join(_EVALUATED, _EVALUATIONS)
    yield "bandwidth", "cost", "", "", _join(_MOVES, _MOVED)
    yield "other_efficiency", "cost", "", "price", _join(_THINGS, _PRICES)
    yield "other_efficiency", "cost", "", "", _join(_THINGS, _THING_HEADS)
