"""Words that look like names and are none, and words that stand beside names."""

from __future__ import annotations

import re
from functools import lru_cache

from .words import word_set

_SHAPED = re.compile(r"[a-z0-9+^][A-Z]|[A-Z]{2}|[A-Z][\w+^]*\d|\d[\w+^]*[A-Z]|[A-Z]\w*[+^]")
_ADJECTIVE = re.compile(
    r"-(?:[a-z]{2,}(?:ed|ing|ly|ful|ive|able|ic|al|way|bit|shot|layer)|free|aware|efficient|friendly|style|like|wise|level|type|scale|time|to|the|art)$",
    re.I,
)
_VERSION = re.compile(
    r"(?:ResNet|VGG|DenseNet|ViT|DeiT|Swin|BERT|GPT|LLa[Mm][Aa]|Llama|OPT|Qwen|YOLOv?|EfficientNet|MobileNet|WRN|Pythia|Inception(?:ResNet)?|Xception|SqueezeNet|ShuffleNet|PointNet|VGGNet|AlexNet)(?:[vV]\d)?"
    r"-?(?:\d[\w.]*|[BSLTX](?:-?\d[\w.]*|/\d+)?|Tiny|Small|Base|Large|Huge)?(?:-(?:\d\w*|Tiny|Small|Base|Large|Huge))?$"
)

NOT_NAMES = word_set(
    """
    LLM NLP CNN RNN GAN ViT MoE GPU CPU NAS AI ML DL KD RL VLM MLLM DNN BERT GPT SSM LSTM MLP LoRA PEFT PTQ QAT KV NeRF SOTA SoTA
    SGD API QA ASR TTS SLM LM PLM CV NMT LVLM SR OCR RAG SFT RLHF DiT VAE FLOP FLOPs FLOPS IoT NN SNN FPGA ASIC TPU MRI CT ICL CoT
    3D 2D 1D 4D i.e e.g Transformer Transformers Mamba Diffusion Attention Experiments Extensive However Specifically Our We This In
    To SMBO ViT-B LMM SSL FFN NTK AGI PDE ODE SDE VLA UNet U-Net MTL DETR PyTorch TensorFlow CUDA Triton JAX ReLU FP8 FP16 FP4 FP32
    INT8 INT4 INT2 W4A4 W8A8 BF16 NFE LiDAR BEV TSF SISR ISR GNN SVD PCA FFT CBM Large Deep Neural Efficient Vision Language
    Federated Knowledge OOD CTC GRU DDPM DDIM FID DAG HPC HPO PPO MDP MCTS AutoML VQA RNN-T ANN FSL UDA XAI BO MARL HOI HAR GCN GAT
    PINN FNO KAN HDC VSA OSS SLA SLO QoS RNNT VAD KWS ST MMT GEC IE CTR CVR LTR EHR ECG EEG EMG NPU DSP MCU DRAM SRAM HBM NVM RRAM
    ReRAM PIM CIM SIMD GEMM SpMM BLAS SoC EDA HLS RTL UAV AV VR AR/VR SLAM ToF RGB RGB-D LF SDF MVS CAD DSE BNN QNN TNN PLMs MoEs
    LLMs ViTs CNNs RNNs GANs VLMs MLLMs DNNs CoTs DL-based Adam AdamW NVIDIA AMD Intel ARM Arm Google Apple Meta OpenAI Microsoft
    Huawei Alibaba Amazon AWS Hugging HuggingFace GitHub Github arXiv Python Java Rust MATLAB NumPy Kubernetes Docker Linux Android
    iOS PaddlePaddle ONNX TensorRT A100 H100 V100 PEFTs GenAI NTP MLM CLM ORM GRPO PRMs TTT AST NAR IID non-IID Non-IID i.i.d MHA
    GQA MQA MLA SwiGLU GELU KL JS CE BCE L1 L2 Lp RMSE MAE PSNR SSIM LPIPS BLEU ROUGE WER CER mAP AP AUC AUROC IoU mIoU F1 MACs MAC
    OPs BOPs LHC ML-based AI-based DB SQL GUI UI IDE NLU NLG NLI ABSA SRL AMR KG KGE KBQA TKG DRL MBRL IRL PbRL LfD DQN A2C A3C GAIL
    EA CMA-ES ILP MILP QP GPs RKHS ELBO MCMC HMC GMM HMM CRF SVM KNN kNN k-NN k-means GBDT XGBoost LightGBM LSH ANNS MIPS RVQ VQ-VAE
    RBM DBN ESN LIF STDP DVS ADC DAC CMOS MAV HW SW HW/SW BiLSTM Bi-LSTM ConvLSTM ConvNet ConvNets SSM
    """
)
"""Abbreviations of common notions, measures and companies."""

WELL_KNOWN = word_set(
    """
    ResNet ResNet-50 ResNet50 ResNet-18 VGG MobileNet MobileNetV2 MobileNetV3 EfficientNet DenseNet AlexNet Inception Swin ConvNet
    ConvNeXt DeiT RoBERTa T5 BART GPT-2 GPT-3 GPT-3.5 GPT-4 GPT-4V GPT-4o ChatGPT LLaMA LLaMA2 LLaMA-2 LLaMA-7B Llama Llama2 Llama-2
    Llama3 Llama-3 Mistral Mixtral Qwen Qwen2 Gemma Gemini Falcon OPT BLOOM PaLM PaLM-2 DeepSeek DeepSeek-R1 Vicuna Whisper LLaVA
    BLIP BLIP-2 Flamingo DINO DINOv2 MAE BYOL MoCo SimCLR SDXL vLLM DeepSpeed Megatron FlashAttention FlashAttention-2 S4 RWKV
    RetNet H2O SnapKV ColBERT DARTS QLoRA AWQ GPTQ SmoothQuant SparseGPT Wanda MnasNet FBNet YOLO YOLOv3 YOLOv5 YOLOv8 DLRM
    PyramidNet SegFormer Performer Linformer Reformer Longformer BigBird Informer TinyBERT DistilBERT ALBERT ELECTRA XLNet PointNet
    MobileViT Mamba-2 Hyena CLIP SAM ADE20K ARC AlpacaEval BIG-bench BraTS CIFAR CIFAR-10 CIFAR-100 CIFAR10 CIFAR100 COCO CelebA
    Cityscapes DOTA FFHQ GLUE GSM8K GenEval HMDB51 HellaSwag HumanEval ImageNet KITTI Kinetics Kinetics-400 LAION LAION-5B LSUN LVIS
    LibriSpeech LongBench MATH MBPP MIMIC MMLU MNIST MNLI MS-COCO MSCOCO MT-Bench ModelNet ModelNet40 PASCAL RULER S3DIS SQuAD SST-2
    STL-10 SVHN ScanNet ShapeNet SuperGLUE UCF101 VBench VCTK VOC WMT WMT14 Waymo WikiText WikiText-103 WikiText-2 WikiText2
    WaveNet WaveRNN WaveGlow LPCNet Tacotron FastSpeech HiFi-GAN StyleGAN BigGAN word2vec GloVe ELMo GPT-J GPT-NeoX Pythia Phi-2 Phi-3
    StarCoder CodeLlama Deepseek EAGLE Medusa HNSW Faiss FAISS cuDNN cuBLAS TVM LightGBM CatBoost Horovod NCCL FSDP ZeRO
    nuScenes AAC AC ACT AR BC BN CAM CD CFG CI CIL CL CSE CSR DA DCU DG DP DPO DT EM EMA EP ES FL FM GA GN GP IL IN IP IR KS LDA LN
    LP MIM MSA MSE MT NER NVS OS PI PLS PP PQ PRM PSO PT QD RE RF RM SAC SD SE SER SL SLR STS TD TL TP TTA TTC VI VO VQ VSR
    """
)
"""Models, methods, data sets and rarer abbreviations: mostly others' work, but some paper is the one that names them."""

HEAD_NOUNS = word_set(
    """
    strategy strategies approach approaches method methods framework frameworks algorithm algorithms technique techniques model models
    architecture architectures network networks system systems scheme schemes paradigm pipeline toolkit library tool engine optimizer
    dataset datasets benchmark corpus suite platform package simulator compiler accelerator design transformer transformers backbone
    family series solution mechanism procedure
    """
)
"""What a proposal is: the noun behind or before a name."""

TAIL_NOUNS = word_set(
    """
    strategy strategies approach approaches method methods framework frameworks algorithm algorithms technique techniques scheme
    architecture architectures pipeline toolkit dataset benchmark mechanism procedure challenge paradigm
    """
)
"""Nouns that are no part of the name in front of them; "Transformer" or "Network" may be one."""

PARTS = word_set(
    """
    loss losses module modules block blocks layer layers head heads term unit units operator operators regularization regularizer
    function functions score scores metric attention token tokens decoder encoder adapter adapters component components space
    """
)
"""Nouns of a part of what is proposed; the name of a part is seldom the name of the whole."""

NOTIONS = word_set(
    """
    concept phenomenon problem hypothesis task notion property metric measure issue effect condition
    """
)
"""Nouns of what is named without being a method: "X, a phenomenon that ..."."""

SETTINGS = word_set(
    """
    challenge task tasks problem problems setting settings competition dataset datasets benchmark benchmarks corpus data images
    distribution distance processing algorithm-based devices platforms gpus gpu cpus simulations equation equations community
    """
)
"""Nouns behind an abbreviation that is no name of the paper's own."""

SMALL = word_set(
    "of for in the to with and on via from by at as is are an a or not into over under per between without beyond through"
)

PLAIN = word_set(
    """
    efficient effective fast faster deep neural network networks learning model models language large small vision transformer transformers
    training inference quantization pruning distillation attention adaptive dynamic layer-wise layerwise token tokens data search
    architecture architectures optimization mixed precision low-rank sparse knowledge self-supervised unsupervised supervised
    multi-task multi-modal multimodal visual image images video generation decoding cache memory compression post-training fine-tuning
    parameter-efficient federated reinforcement graph diffusion speech recognition detection segmentation classification representation
    representations pre-training pretraining hardware software scaling laws foundation convolutional recurrent lightweight robust fine tuning
    transfer random forest forests support vector machine machines decision tree trees gradient boosting regression logistic linear
    nearest neighbor neighbors contrastive few-shot zero-shot meta ensemble active curriculum domain adaptation time series feature fusion
    extraction analysis gaussian process processes markov hidden statistical
    """
)
"""Words of which whole phrases are no name ("Layer-Wise Quantization")."""


@lru_cache(maxsize=1 << 14)
def is_shaped(word: str) -> bool:
    """Whether a word is written as only names and abbreviations are: "ZedNet", "ZN", "Zed2", "Z-Former"; not "Layer-Wise"."""
    if _SHAPED.search(word):
        parts = re.split(r"[-/]", word)
        return any(_SHAPED.search(part) for part in parts) or (len(parts[0]) == 1 and parts[0].isupper())
    return "-" in word[1:3] and word[:1].isupper() and word[2:3].isupper()


@lru_cache(maxsize=1 << 14)
def is_generic(word: str) -> bool:
    """Whether a word is an abbreviation that everybody uses, in singular or plural, or an adjective made of one."""
    if " " in word:
        return False
    if word in NOT_NAMES or (word.endswith("s") and word[:-1] in NOT_NAMES):
        return True
    if "-" in word and all(part in NOT_NAMES for part in word.split("-")):
        return True
    suffix = _ADJECTIVE.search(word)
    return suffix is not None and (suffix[0].islower() or word[: suffix.start()] in NOT_NAMES)


def is_known(word: str) -> bool:
    """Whether a word names a model, a method or a data set that most papers mention as others' work."""
    return word.removesuffix("s") in WELL_KNOWN or _VERSION.match(word) is not None
