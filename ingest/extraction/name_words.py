"""Words that look like names and are none, and words that stand beside names."""

from __future__ import annotations

from .words import word_set

NOT_NAMES = word_set(
    """
    LLM NLP CNN RNN GAN ViT MoE GPU CPU NAS FL AI ML DL KD RL VLM MLLM DNN BERT GPT SSM LSTM MLP LoRA PEFT PTQ QAT KV NeRF SOTA SoTA SGD
    API QA ASR TTS SLM LM PLM CV NMT LVLM SR OCR RAG SFT RLHF DPO AR DiT VAE FLOP FLOPs FLOPS IoT NN SNN FPGA ASIC TPU MRI CT ICL CoT DP
    TP PP 3D 2D 1D 4D i.e e.g Transformer Transformers Mamba Diffusion Attention Experiments Extensive However Specifically Our We This In
    To PT SMBO VSR MIM ViT-B LMM SSL FFN NTK AGI PDE ODE SDE TTA SLR AAC VLA UNet U-Net EMA MTL DETR ImageNet PyTorch TensorFlow
    CUDA Triton JAX PI ReLU FP8 FP16 FP4 FP32 INT8 INT4 INT2 W4A4 W8A8 BF16 NFE SL FM LiDAR BEV MSA NVS TSF SISR ISR CSR GNN MSE CFG SVD
    PCA FFT EP CBM Large Deep Neural Efficient Vision Language Federated Knowledge OOD SE CTC GRU DDPM DDIM FID DAG HPC HPO PPO MDP MCTS
    AutoML VQA RNN-T ANN FSL UDA XAI BO MARL HOI HAR GCN GAT PINN FNO KAN HDC VSA OSS SLA SLO QoS RNNT VAD KWS SER MT ST MMT GEC NER RE
    IE IR CTR CVR LTR EHR ECG EEG EMG NPU DSP MCU DRAM SRAM HBM NVM RRAM ReRAM PIM CIM SIMD GEMM SpMM BLAS SoC EDA HLS RTL UAV AV VR AR/VR
    SLAM VO ToF RGB RGB-D LF SDF MVS CAD CAM DSE BNN QNN TNN PLMs MoEs LLMs ViTs CNNs RNNs GANs VLMs MLLMs DNNs CoTs DL-based GLUE SuperGLUE SQuAD MNLI SST-2 WMT WMT14 COCO MS-COCO MSCOCO CIFAR CIFAR-10 CIFAR10
    CIFAR-100 CIFAR100 MNIST SVHN STL-10 ADE20K Cityscapes KITTI PASCAL VOC LVIS Kinetics Kinetics-400 UCF101 HMDB51 LibriSpeech VCTK
    WikiText WikiText-2 WikiText-103 WikiText2 MMLU GSM8K MATH HumanEval MBPP HellaSwag ARC BIG-bench MT-Bench AlpacaEval LongBench RULER
    VBench GenEval ScanNet ShapeNet ModelNet40 ModelNet S3DIS nuScenes Waymo BraTS MIMIC DOTA LAION LAION-5B FFHQ CelebA LSUN Adam AdamW
    NVIDIA AMD Intel ARM Arm Google Apple Meta OpenAI Microsoft Huawei Alibaba Amazon AWS Hugging HuggingFace GitHub Github arXiv Python
    Java Rust MATLAB NumPy Kubernetes Docker Linux Android iOS PaddlePaddle ONNX TensorRT A100 H100 V100 TL IL CL CIL DG DA PEFTs GenAI NTP MLM CLM PRM ORM GRPO PRMs RM TTS TTT TTC CAM CSE STS AST NAR IID
    non-IID Non-IID i.i.d BN LN IN GN MHA GQA MQA MLA SwiGLU GELU KL JS CE BCE L1 L2 Lp RMSE MAE PSNR SSIM LPIPS BLEU ROUGE WER CER mAP AP AUC
    AUROC IoU mIoU F1 MACs MAC OPs BOPs LHC ML-based AI-based IP OS DB SQL GUI UI IDE CI CD NLU NLG NLI ABSA SRL AMR KG KGE KBQA TKG
    DRL MBRL BC IRL PbRL LfD TD DQN SAC A2C A3C GAIL QD GA ES PSO EA CMA-ES LP ILP MILP QP GP GPs RKHS ELBO MCMC HMC VI EM GMM HMM CRF SVM
    KNN kNN k-NN k-means RF GBDT XGBoost LightGBM DT PLS LDA LSH ANNS MIPS PQ VQ RVQ VQ-VAE RBM DBN ESN LIF STDP DVS ADC DAC CMOS MAV
    """
)
"""Abbreviations of common notions, data sets, measures, companies and well-known models of others."""

WELL_KNOWN = word_set(
    """
    ResNet ResNet-50 ResNet50 ResNet-18 VGG MobileNet MobileNetV2 MobileNetV3 EfficientNet DenseNet AlexNet Inception Swin ConvNet
    ConvNeXt DeiT RoBERTa T5 BART GPT-2 GPT-3 GPT-3.5 GPT-4 GPT-4V GPT-4o ChatGPT LLaMA LLaMA2 LLaMA-2 LLaMA-7B Llama Llama2 Llama-2 Llama3
    Llama-3 Mistral Mixtral Qwen Qwen2 Gemma Gemini Falcon OPT BLOOM PaLM PaLM-2 DeepSeek DeepSeek-R1 Vicuna Whisper LLaVA BLIP BLIP-2 Flamingo
    DINO DINOv2 MAE BYOL MoCo SimCLR SDXL vLLM DeepSpeed Megatron FlashAttention FlashAttention-2 S4 RWKV RetNet H2O SnapKV ColBERT DARTS
    QLoRA AWQ GPTQ SmoothQuant SparseGPT Wanda MnasNet FBNet YOLO YOLOv3 YOLOv5 YOLOv8 DLRM PyramidNet SegFormer Performer Linformer Reformer
    Longformer BigBird Informer TinyBERT DistilBERT ALBERT ELECTRA XLNet PointNet MobileViT Mamba-2 Hyena CLIP SAM
    """
)
"""Models and methods that most papers mention as others' work; a few papers are the ones that name them."""

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

SMALL = word_set("of for in the to with and on via from by at as is are an a or not into over under per between without beyond through")

PLAIN = word_set(
    """
    efficient effective fast faster deep neural network networks learning model models language large small vision transformer transformers
    training inference quantization pruning distillation attention adaptive dynamic layer-wise layerwise token tokens data search
    architecture architectures optimization mixed precision low-rank sparse knowledge self-supervised unsupervised supervised
    multi-task multi-modal multimodal visual image images video generation decoding cache memory compression post-training fine-tuning
    parameter-efficient federated reinforcement graph diffusion speech recognition detection segmentation classification representation
    representations pre-training pretraining hardware software scaling laws foundation convolutional recurrent lightweight robust fine tuning
    """
)
"""Words of which whole phrases are no name ("Layer-Wise Quantization")."""
